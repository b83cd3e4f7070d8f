package interop_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countermark/countermark/internal/jose"
)

// The examples of RFC 7515, 7517, 7520, 7638, 7797 and 8037, in the files of two
// collections: what a file is for, its name says.
type examples struct {
	tokens []vector
	keys   map[string]jwk // by file, and their place in it
	prints map[string]string
}

// A cookbook is a file of ietf-jose/cookbook.
type cookbook struct {
	Input  struct{ Key jsonText }
	Output map[string]jsonText
}

// readExamples reads every file. One that it does not know is an error, so that
// none is passed over.
func readExamples(t *testing.T, dir string) *examples {
	t.Helper()
	e := &examples{keys: map[string]jwk{}, prints: map[string]string{}}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(data))
		base := strings.TrimSuffix(path, filepath.Ext(path))
		switch ext := filepath.Ext(path); {
		case name == "rfc9449/dpop_examples.json", name == "rfc7638_thumbprints.json": // tests of their own
		case slices.Contains([]string{"COPYING", "LICENSE", "README.md"}, entry.Name()), ext == ".payl": // what a detached signature is over
		case ext == ".jwk", ext == ".jwkset", strings.Contains(name, "/jwk/"):
			for i, k := range keysOf(t, jsonText(data)) {
				e.keys[name+" "+strconv.Itoa(i+1)] = k
			}
		case ext == ".thp":
			e.prints[base+".jwk"] = text
		case ext == ".jwsc", ext == ".jwsf", ext == ".jwsg":
			set := base + ".jwk"
			switch {
			case strings.HasSuffix(base, "rfc7515_A.5"): // which has none
				set = strings.TrimSuffix(base, "5") + "2.jwk"
			case strings.HasSuffix(base, "_A.6"), strings.HasSuffix(base, "_4.8"):
				set = base + ".jwkset"
			}
			var keys jsonText
			readJSON(t, set, &keys)
			e.tokens = append(e.tokens, vector{name, publicSet(t, keys), text, true})
		case ext == ".json":
			var file cookbook
			readJSON(t, path, &file)
			if len(file.Output) == 0 {
				t.Errorf("%s: no signature", name)
			}
			for form, token := range file.Output {
				e.tokens = append(e.tokens, vector{name + " " + form, publicSet(t, file.Input.Key), textOf(token), true})
			}
		default:
			t.Errorf("%s: what is it?", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// publicSet returns the JWK Set that somebody would publish of these keys: without
// what is secret of them, but for a symmetric one, which is nothing else.
func publicSet(t *testing.T, data jsonText) string {
	t.Helper()
	keys := keysOf(t, data)
	for i, k := range keys {
		if public := k.public(); public != nil {
			keys[i] = public
		}
	}
	return setOf(t, keys...)
}

const (
	otherForm = "an access token is in compact serialization: RFC 9068 section 2, RFC 7519 section 3"
	extension = "no extension is understood, of which crit tells: RFC 7515 section 4.1.11"
)

func TestRFCExamples_Signatures(t *testing.T) {
	t.Parallel()
	const book, latch = "ietf-jose-cookbook/", "latchset-jose/"
	otherwise := map[string]disagreement{}
	because := func(reason, at string, names ...string) {
		for _, name := range names {
			otherwise[name] = disagreement{reason, at}
		}
	}
	because(noHMAC, "alg: not accepted", latch+"rfc7515_A.1.jwsc", latch+"rfc7520_4.4.jwsc", book+"jws/4_4.hmac-sha2_integrity_protection.json compact")
	because(noHMAC+", and the payload is elsewhere", "alg: not accepted", latch+"rfc7520_4.5.jwsc", book+"jws/4_5.signature_with_detached_content.json compact")
	because("none is no signature: RFC 8725 section 3.1", "alg: not accepted", latch+"rfc7515_A.5.jwsc")
	because(extension, "header: b64", book+"rfc7797/hmac-sha2_b64_false.json compact")
	for _, form := range []string{"json", "json_flat"} {
		for _, name := range []string{
			"jws/4_1.rsa_v15_signature", "jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature", "jws/4_4.hmac-sha2_integrity_protection", "jws/4_5.signature_with_detached_content",
			"jws/4_6.protecting_specific_header_fields", "jws/4_7.protecting_content_only", "curve25519/jws", "rfc7797/4.2.hmac-sha2_b64_false", "rfc7797/hmac-sha2_b64_false",
		} {
			because(otherForm, "not three parts", book+name+".json "+form)
		}
	}
	for _, name := range []string{"4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7"} {
		because(otherForm, "not three parts", latch+"rfc7520_"+name+".jwsf", latch+"rfc7520_"+name+".jwsg")
	}
	because(otherForm, "not three parts", latch+"rfc7515_A.6.jwsg", latch+"rfc7515_A.7.jwsf", latch+"rfc7520_4.8.jwsg", book+"jws/4_8.multiple_signatures.json json")
	judge(t, readExamples(t, published(t)).tokens, otherwise, tally{accepted: 10, explained: 45})
}

// What is signed in JSON serialization is signed as in the compact one: each
// signature is held in that form too.
func TestRFCExamples_SignaturesOfJSONForms(t *testing.T) {
	t.Parallel()
	type signature struct{ Protected, Signature string }
	var vectors []vector
	for _, v := range readExamples(t, published(t)).tokens {
		var form struct {
			signature
			Payload    string
			Signatures []signature
		}
		if !strings.HasPrefix(v.token, "{") || !strings.HasPrefix(v.name, "latchset-jose/") { // the others are the same
			continue
		}
		if err := json.Unmarshal([]byte(v.token), &form); err != nil {
			t.Fatal(err)
		}
		if form.Signatures == nil {
			form.Signatures = []signature{{form.Protected, form.Signature}}
		}
		for i, s := range form.Signatures {
			vectors = append(vectors, vector{v.name + " " + strconv.Itoa(i+1), v.keys, s.Protected + "." + form.Payload + "." + s.Signature, true})
		}
	}
	otherwise := map[string]disagreement{}
	for _, name := range []string{"4.4.jwsf 1", "4.4.jwsg 1", "4.5.jwsf 1", "4.5.jwsg 1", "4.6.jwsf 1", "4.6.jwsg 1", "4.8.jwsg 3"} {
		otherwise["latchset-jose/rfc7520_"+name] = disagreement{noHMAC, "alg: not accepted"}
	}
	for _, name := range []string{"4.7.jwsf 1", "4.7.jwsg 1", "4.8.jwsg 2"} {
		otherwise["latchset-jose/rfc7520_"+name] = disagreement{"a header that is not signed is none of the compact serialization", "header: JSON"}
	}
	judge(t, vectors, otherwise, tally{accepted: 10, explained: 10})
}

// A key is used if it is public and for signatures. The others were published as
// examples, which they are nowhere else.
func TestRFCExamples_Keys(t *testing.T) {
	t.Parallel()
	const book, latch = "ietf-jose-cookbook/jwk/", "latchset-jose/"
	const secret, otherUse = "it has secret members", "for another use"
	otherwise := map[string]disagreement{}
	because := func(reason, at string, names ...string) {
		for _, name := range names {
			otherwise[name] = disagreement{reason, at}
		}
	}
	because("a private key: who publishes it has lost it", secret,
		latch+"rfc7515_A.2.jwk 1", latch+"rfc7515_A.3.jwk 1", latch+"rfc7515_A.4.jwk 1", latch+"rfc7515_A.6.1.jwk 1", latch+"rfc7515_A.6.2.jwk 1",
		latch+"rfc7515_A.6.jwkset 1", latch+"rfc7515_A.6.jwkset 2", latch+"rfc7515_A.7.jwk 1", latch+"rfc7517_A.2.jwkset 1", latch+"rfc7517_A.2.jwkset 2",
		latch+"rfc7520_3.2.jwk 1", latch+"rfc7520_3.4.jwk 1", latch+"rfc7520_4.1.jwk 1", latch+"rfc7520_4.2.jwk 1", latch+"rfc7520_4.3.jwk 1",
		latch+"rfc7520_4.8.1.jwk 1", latch+"rfc7520_4.8.2.jwk 1", latch+"rfc7520_4.8.jwkset 1", latch+"rfc7520_4.8.jwkset 2",
		book+"3_2.ec_private_key.json 1", book+"3_4.rsa_private_key.json 1")
	because("a symmetric key: who publishes it has lost it, and "+noHMAC, secret,
		latch+"rfc7515_A.1.jwk 1", latch+"rfc7517_A.3.jwkset 1", latch+"rfc7517_A.3.jwkset 2", latch+"rfc7520_3.5.jwk 1", latch+"rfc7520_3.6.jwk 1",
		latch+"rfc7520_4.4.jwk 1", latch+"rfc7520_4.5.jwk 1", latch+"rfc7520_4.6.jwk 1", latch+"rfc7520_4.7.jwk 1", latch+"rfc7520_4.8.3.jwk 1", latch+"rfc7520_4.8.jwkset 3",
		book+"3_5.symmetric_key_mac_computation.json 1", book+"3_6.symmetric_key_encryption.json 1")
	because("its use is enc", otherUse, latch+"rfc7517_A.1.jwkset 1", latch+"rfc7517_A.2.jwkset 1, its public part")

	var got tally
	for name, k := range readExamples(t, published(t)).keys {
		rows := map[string]jwk{name: k}
		if k["d"] != nil {
			rows[name+", its public part"] = k.public()
		}
		for name, k := range rows {
			switch reason, at := used(t, k), otherwise[name].at; {
			case reason == "" && at == "":
				got.accepted++
			case reason == at:
				got.explained++
			default:
				t.Errorf("%s: %q", name, reason)
			}
		}
	}
	if want := (tally{accepted: 27, explained: 36}); got != want || got.explained != len(otherwise) {
		t.Errorf("%+v, want %+v, %d explained", got, want, len(otherwise))
	}
	t.Logf("%+v", got)
}

// What a private key of an example signs, its public part verifies.
func TestRFCExamples_PrivateKeysSign(t *testing.T) {
	t.Parallel()
	var got tally
	for name, k := range readExamples(t, published(t)).keys {
		if k["d"] == nil {
			continue
		}
		err := accessTokenBy(t, k, setOf(t, k.public()))
		switch {
		case err == nil:
			got.accepted++
		case name == "latchset-jose/rfc7517_A.2.jwkset 1" && strings.HasSuffix(err.Error(), "use or key_ops: not for signing"): // its use is enc
			got.explained++
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := (tally{accepted: 20, explained: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The thumbprints of RFC 7638 section 3.1, RFC 8037 appendix A.3 and RFC 9449
// section 6.1.
func TestRFCExamples_Thumbprints(t *testing.T) {
	t.Parallel()
	dir := published(t)
	var rows []struct {
		Source string
		JWK    jsonText
		Want   string `json:"thumbprint_sha256"`
	}
	readJSON(t, filepath.Join(dir, "rfc7638_thumbprints.json"), &rows)
	if len(rows) != 3 {
		t.Errorf("%d examples", len(rows))
	}
	for _, row := range rows {
		if got := thumbprint(t, row.JWK); got != row.Want {
			t.Errorf("%s: %s, want %s", row.Source, got, row.Want)
		}
	}
	prints := readExamples(t, dir).prints
	if len(prints) != 1 {
		t.Errorf("%d files", len(prints))
	}
	for file, want := range prints {
		var k jsonText
		readJSON(t, file, &k)
		if got := thumbprint(t, k); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func thumbprint(t *testing.T, k jsonText) string {
	t.Helper()
	alg := map[string]string{"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[keysOf(t, k)[0].text("kty")]
	_, sum, err := jose.ParseJWK(string(k), alg)
	if err != nil {
		t.Fatal(err)
	}
	return jose.Encode(sum[:])
}

var skipped = regexp.MustCompile(`reason="([^"]*)"`)

// used returns why the cache does not use a key that is served to it; nothing if it
// does.
func used(t *testing.T, k jwk) string {
	t.Helper()
	var log bytes.Buffer
	keys := serveKeys(t, setOf(t, k), &log)
	for _, alg := range jose.Algorithms() {
		found, err := keys.Keys(t.Context(), k.text("kid"), alg)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return ""
		}
	}
	if err := keys.Close(); err != nil { // and then nobody writes
		t.Fatal(err)
	}
	if m := skipped.FindSubmatch(log.Bytes()); m != nil {
		return string(m[1])
	}
	return "for another use"
}
