package stateless

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/translate"
)

var errState = errors.New("state")

// sealer puts a child's requestState under a key of this process, bound to the
// caller and to the call, as basic/patterns/mrtr asks of state that passes
// through a client ("Server Requirements", 4 and 5). A state of another node
// or of a former run is refused; the client begins the call again.
// So is one that is older than life.
type sealer struct {
	aead cipher.AEAD
	life time.Duration
}

func newSealer(life time.Duration) *sealer {
	key := make([]byte, 32)
	_, _ = rand.Read(key)           // never fails since Go 1.24
	block, _ := aes.NewCipher(key)  // 32 bytes are a key
	aead, _ := cipher.NewGCM(block) // AES has the block size that GCM wants
	return &sealer{aead, life}
}

// binding names who calls what: identity, method and the salient parameters.
func binding(caller *mux.Caller, req *translate.Request) []byte {
	h := sha256.New()
	for _, part := range [][]byte{
		[]byte(caller.Identity.Subject), []byte(caller.Server), []byte(req.Method),
		req.Params.Get("name"), req.Params.Get("uri"), req.Params.Get("arguments"),
	} {
		sum := sha256.Sum256(part)
		_, _ = h.Write(sum[:]) // a hash never fails
	}
	return h.Sum(nil)
}

const stampSize = 8 // of the time in front of the state

func (s *sealer) seal(bind, state []byte) string {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce)
	stamped := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix())) //nolint:gosec // after 1970
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, append(stamped, state...), bind))
}

func (s *sealer) open(bind []byte, token string) (string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return "", errState
	}
	n := s.aead.NonceSize()
	state, err := s.aead.Open(nil, raw[:n], raw[n:], bind)
	if err != nil || len(state) < stampSize {
		return "", errState
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(state)), 0) //nolint:gosec // our own
	if time.Since(made) > s.life {
		return "", errState
	}
	return string(state[stampSize:]), nil
}

// outgoing seals the state of an input_required result of a modern child.
func (s *sealer) outgoing(caller *mux.Caller, req *translate.Request, result json.RawMessage) json.RawMessage {
	o, err := translate.Parse(result)
	if err != nil {
		return result
	}
	state, ok := o.Text("requestState")
	if !ok {
		return result
	}
	sealed, _ := json.Marshal(s.seal(binding(caller, req), []byte(state))) // a string always marshals
	return o.With(translate.Edit{Key: "requestState", Value: sealed})
}

// incoming gives a modern child its state back.
func (s *sealer) incoming(caller *mux.Caller, req *translate.Request) error {
	token, _ := req.Params.Text("requestState")
	state, err := s.open(binding(caller, req), token)
	if err != nil {
		return err
	}
	raw, _ := json.Marshal(state) // a string always marshals
	req.Params, err = translate.Parse(req.Params.With(translate.Edit{Key: "requestState", Value: raw}))
	return err
}
