package authserver

import "context"

// A ClientStore takes the clients that [Store.Client] returns. It is a part that a
// Store may have besides, and that [Config.Registration] needs. As there, every
// method is one atomic operation. What it keeps of a client includes what JSON
// leaves out: SecretHash and RegistrationTokenHash.
type ClientStore interface {
	// PutClient registers c in place of any client with its ClientID.
	PutClient(ctx context.Context, c *Client) error

	// ReplaceClient puts c in place of the client that registered itself with its
	// ClientID and RegistrationTokenHash, or is ErrNotFound if there is none: so a
	// change brings back no client that was deleted meanwhile, and takes away none
	// that became the operator's own.
	ReplaceClient(ctx context.Context, c *Client) error

	// DeleteClient removes the client whose ClientID is id, or is ErrNotFound. Its
	// tokens are void then, where the server is asked.
	DeleteClient(ctx context.Context, id string) error
}
