package devissuer

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countermark/countermark/authserver"
)

func TestSigningKeys_MadeOnceAndKept(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "keys.pem")
	silent := func(format string, args ...any) { t.Errorf(format, args...) }
	made, err := signingKeys(name, silent)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := signingKeys(name, silent)
	if err != nil || len(kept) != 1 || !kept[0].Signer.(*ecdsa.PrivateKey).Equal(made[0].Signer) {
		t.Errorf("another key: %v", err)
	}
	one, err := signingKeys("", silent)
	if err != nil || one[0].Signer.(*ecdsa.PrivateKey).Equal(made[0].Signer) {
		t.Errorf("a key of no file: %v", err)
	}
}

// Of several first starts at once, all have the one key that is in the file.
func TestSigningKeys_SeveralStartsAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		dir := t.TempDir()
		name := filepath.Join(dir, "keys.pem")
		made := make([][]authserver.SigningKey, 16)
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for n := range made {
			wg.Go(func() {
				<-begin
				var err error
				if made[n], err = signingKeys(name, t.Errorf); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		for _, keys := range made {
			if len(keys) != 1 || !keys[0].Signer.(*ecdsa.PrivateKey).Equal(made[0][0].Signer) {
				t.Fatal("another key")
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%v, %v", left, err)
		}
	}
}

func TestReadFile_RegularFilesOnly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{t.TempDir(), os.DevNull} {
		if _, err := Load(name); err == nil || err.Error() != name+": is not a regular file" {
			t.Error(err)
		}
		if _, err := signingKeys(name, t.Errorf); err == nil || err.Error() != name+": is not a regular file" {
			t.Error(err)
		}
	}
}

func TestReadKeys_SeveralOfAnyKind(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	for _, alg := range []string{"EdDSA", "RS256", "ES384"} {
		k, err := authserver.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&file, "%s:\n%s", alg, block(t, k.Signer))
	}
	name := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(name, file.Bytes(), 0o640); err != nil {
		t.Fatal(err)
	}
	var warned []string
	keys, err := readKeys(name, func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) })
	if err != nil || len(keys) != 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "mode 640") {
		t.Errorf("others can read it, and the warnings are %q", warned)
	}
	if _, err := authserver.New(authserver.Config{Issuer: "https://issuer.example", Keys: keys}); err != nil {
		t.Error(err)
	}
}

func TestReadKeys_Errors(t *testing.T) {
	t.Parallel()
	k, err := authserver.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := string(block(t, k.Signer))
	const parse = "authserver: ParseSigningKeys: "
	for text, want := range map[string]string{
		"":                            "is empty",
		strings.Repeat("\n", 1<<20+1): "is larger than 1048576 bytes",
		"canary":                      parse + "neither PEM blocks",
		good + "canary":               parse + "neither PEM blocks",
		good[:len(good)/2]:            parse + "neither PEM blocks",
		string(block(t, x25519)):      parse + "PEM block 1: a *ecdh.PrivateKey cannot sign",
		good + pemOf("canary"):        parse + "PEM block 2: ",
		`{"kty":"oct"}`:               parse + "JWK: a symmetric key",
	} {
		name := filepath.Join(t.TempDir(), "keys.pem")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := signingKeys(name, func(string, ...any) {})
		if err == nil || !strings.HasPrefix(err.Error(), name+": "+want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("want %q: %v", want, err)
		}
		if now, _ := os.ReadFile(name); string(now) != text {
			t.Error("the file was changed")
		}
	}
}

func block(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(pemOf(string(der)))
}

func pemOf(der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(der)}))
}
