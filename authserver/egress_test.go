package authserver

import (
	"net/http"
	"strings"
	"testing"
)

// Addresses as they are when connecting, on either side of the line.
func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]bool{ // anywhere, from loopback
		"93.184.216.34:443":          {true, true},
		"[2606:4700::1111]:443":      {true, true},
		"[::ffff:93.184.216.34]:443": {true, true},
		"127.0.0.1:443":              {false, true},
		"[::1]:443":                  {false, true},
		"[::ffff:127.0.0.1]:443":     {false, true},
		"10.1.2.3:443":               {false, true},
		"172.16.0.1:443":             {false, true},
		"172.32.0.1:443":             {true, true},
		"192.168.1.1:443":            {false, true},
		"[fd12::1]:443":              {false, true},
		"169.254.169.254:80":         {false, false},
		"[::ffff:169.254.169.254]:1": {false, false},
		"[fd00:ec2::254]:80":         {false, false}, // metadata services, as far as they are not link-local
		"[fd00:ec2::23]:80":          {false, false},
		"[fd00:ec2::254%eth0]:80":    {false, false},
		"[fd20:ce::254]:80":          {false, false},
		"[fd00:c1::a9fe:a9fe]:80":    {false, false},
		"[fd00:42::42]:80":           {false, false},
		"[fd00:a9fe:a9fe::1]:80":     {false, false},
		"[fd00:100::100:200]:80":     {false, false},
		"100.100.100.200:80":         {false, false},
		"168.63.129.16:80":           {false, false},
		"[::ffff:168.63.129.16]:80":  {false, false},
		"[fd00:ec3::254]:80":         {false, true},
		"[fd20:ce::253]:80":          {false, true},
		"168.63.129.17:80":           {true, true},
		"[fe80::1%eth0]:443":         {false, false},
		"0.0.0.0:443":                {false, false},
		"[::]:443":                   {false, false},
		"0.1.2.3:443":                {false, false},
		"100.64.0.1:443":             {false, false},
		"100.128.0.1:443":            {true, true},
		"192.0.0.8:443":              {false, false},
		"198.18.0.1:443":             {false, false},
		"224.0.0.1:443":              {false, false},
		"240.0.0.1:443":              {false, false},
		"255.255.255.255:443":        {false, false},
		"[ff02::1]:443":              {false, false},
		"[64:ff9b::a9fe:a9fe]:443":   {false, false},
		"[2002:7f00:1::]:443":        {false, false},
		"[2001::1]:443":              {false, false},
		"[::7f00:1]:443":             {false, false},
		"[fec0::1]:443":              {false, false},
		"[::ffff:0:a9fe:a9fe]:443":   {false, false},
		"[3fff::1]:443":              {false, false},
		"[5f00::1]:443":              {false, false},
		"localhost:443":              {false, false}, // a name is never connected to
		"127.0.0.1":                  {false, false},
		"":                           {false, false},
	} {
		if got := [2]bool{checkAddress(address, false) == nil, checkAddress(address, true) == nil}; got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

func TestEgress_HTTPSOnly(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://keys.localhost/jwks", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newEgress(false).Do(req); err == nil || !strings.Contains(err.Error(), "http is for servers on loopback") {
		t.Error(err)
	}
}
