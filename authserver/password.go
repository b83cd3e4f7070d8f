package authserver

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What HashPassword uses: 19 MiB and two passes, some 20 ms of one core. RFC 9106
// section 4 would rather have 64 MiB, which a small machine has not for many
// people who sign in at once.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16 // bytes
	argonKey    = 32 // bytes

	maxPassword = 1024 // bytes
)

// HashPassword returns a hash of a password for [User.PasswordHash]: Argon2id
// (RFC 9106) in the PHC string format, salted, so that it is another one each
// time. It takes tens of milliseconds and 19 MiB, as it should. Nobody can sign in
// with a password of more than 1024 bytes.
func HashPassword(password string) string {
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails
	key := argon2.IDKey([]byte(password), salt[:], argonTime, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64(salt[:]), b64(key))
}

// A passwordHash tells the right password from others.
type passwordHash func(password string) bool

// parsePasswordHash reads the hash of a password. The error does not hold it.
func parsePasswordHash(s string) (passwordHash, error) {
	if strings.HasPrefix(s, "$argon2id$") {
		h, err := parseArgon(s)
		return h.matches, err
	}
	if _, err := bcrypt.Cost([]byte(s)); err == nil {
		return func(password string) bool { return bcrypt.CompareHashAndPassword([]byte(s), []byte(password)) == nil }, nil
	}
	return nil, errors.New("must be an Argon2id hash in the PHC string format or a bcrypt hash, such as HashPassword returns")
}

// An argonHash is an Argon2id hash and what it was made with.
type argonHash struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

func (h *argonHash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key))) //nolint:gosec // at most 64
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// parseArgon reads $argon2id$v=19$m=MEMORY,t=TIME,p=LANES$SALT$KEY. The bounds
// keep out what would take the machine down at the first sign-in.
func parseArgon(s string) (*argonHash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, errors.New("must be $argon2id$v=19$m=...,t=...,p=...$SALT$HASH")
	}
	h := &argonHash{}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.lanes); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.lanes) {
		return nil, errors.New("its parameters must be m=MEMORY,t=TIME,p=LANES")
	}
	if h.time < 1 || h.time > 100 || h.lanes < 1 || h.memory < 8*uint32(h.lanes) || h.memory > 1<<20 {
		return nil, errors.New("its parameters are out of range: p from 1, m from 8p to 1048576 (KiB), t from 1 to 100")
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.key) < 16 || len(h.key) > 64 {
		return nil, errors.New("salt and hash must be base64 without padding, of at least 8 and of 16 to 64 bytes")
	}
	return h, nil
}
