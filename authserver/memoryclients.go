package authserver

import (
	"context"
	"errors"
	"fmt"
)

// PutClient implements [ClientStore]. It is an error, which names the field, if no
// server could use c.
func (m *MemoryStore) PutClient(_ context.Context, c *Client) error {
	if c == nil {
		return errors.New("authserver: PutClient: the client is nil")
	}
	if _, err := newStoredClient(c, parseKeys); err != nil {
		return fmt.Errorf("authserver: PutClient (%q): %w", c.ClientID, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.clients[c.ClientID]; !known && m.full(len(m.clients)) {
		return ErrFull
	}
	put(&m.clients, c.ClientID, c.clone())
	return nil
}

// Client implements [Store].
func (m *MemoryStore) Client(_ context.Context, id string) (*Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	if !ok {
		return nil, ErrNotFound
	}
	return c.clone(), nil
}

// DeleteClient implements [ClientStore].
func (m *MemoryStore) DeleteClient(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.clients[id]; !known {
		return ErrNotFound
	}
	delete(m.clients, id)
	return nil
}
