// An API written with oauth4webapi, which takes tokens of several devissuers.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import { settings } from './harness.mjs'

const insecure = { [oauth.allowInsecureRequests]: true } // http on loopback

for (const { alg, issuer } of settings) {
  test(alg, async () => {
    const as = await oauth.processDiscoveryResponse(new URL(issuer),
      await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' }))
    const client = { client_id: 'orders-client' }
    const { access_token } = await oauth.processClientCredentialsResponse(as, client,
      await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic('orders-client-secret'), { scope: 'orders:read' }, insecure))
    assert.equal(JSON.parse(Buffer.from(access_token.split('.')[0], 'base64url')).alg, alg)

    const validate = (token, audience) => oauth.validateJwtAccessToken(as,
      new Request('https://api.example.com/orders', { headers: { authorization: `Bearer ${token}` } }), audience, insecure)
    const claims = await validate(access_token, 'https://api.example.com')
    assert.equal(claims.iss, issuer)
    assert.equal(claims.client_id, 'orders-client')
    assert.equal(claims.scope, 'orders:read')
    await assert.rejects(validate(access_token, 'https://other.example.com'))
    await assert.rejects(validate(access_token.replace(/\.[^.]*$/, (s) => `.${[...s.slice(1)].reverse().join('')}`), 'https://api.example.com'))
  })
}
