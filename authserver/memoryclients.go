package authserver

import (
	"context"
	"fmt"
)

// PutClient implements [ClientStore]. It is an error, which names the field, if no
// server could use c.
func (m *MemoryStore) PutClient(_ context.Context, c *Client) error {
	if err := checkStored("PutClient", c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.clients[c.ClientID]; !known && m.full(len(m.clients)) {
		return ErrFull
	}
	put(&m.clients, c.ClientID, c.clone())
	return nil
}

// ReplaceClient implements [ClientStore], as PutClient does.
func (m *MemoryStore) ReplaceClient(_ context.Context, c *Client) error {
	if err := checkStored("ReplaceClient", c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, known := m.clients[c.ClientID]
	if !known || was.RegistrationTokenHash == (Hash{}) || was.RegistrationTokenHash != c.RegistrationTokenHash {
		return ErrNotFound
	}
	m.clients[c.ClientID] = c.clone()
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

func checkStored(method string, c *Client) error {
	if c == nil {
		return fmt.Errorf("authserver: %s: the client is nil", method)
	}
	if _, err := newStoredClient(c, parseKeys); err != nil {
		return fmt.Errorf("authserver: %s (%q): %w", method, c.ClientID, err)
	}
	return nil
}
