// Clients that register themselves with openid-client and with oauth4webapi, as
// their documentation has it.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import { Browser, settings } from './harness.mjs'

const { issuer, initialAccessToken } = settings
const redirectUri = 'http://127.0.0.1:49152/callback'
const insecure = { [oauth.allowInsecureRequests]: true } // http on loopback

for (const [method, authenticate] of Object.entries({
  none: () => oidc.None(),
  client_secret_basic: oidc.ClientSecretBasic,
  client_secret_post: oidc.ClientSecretPost,
})) {
  const metadata = {
    client_name: 'A client', redirect_uris: [redirectUri], token_endpoint_auth_method: method,
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], scope: 'orders:read',
  }

  test(`openid-client: ${method}`, async () => {
    const config = await oidc.dynamicClientRegistration(new URL(issuer), metadata, undefined,
      { algorithm: 'oauth2', initialAccessToken, execute: [oidc.allowInsecureRequests] })
    const { client_id, client_secret } = config.clientMetadata()
    await authorize(client_id, authenticate(client_secret))
  })

  test(`oauth4webapi: ${method}`, async () => {
    const as = await oauth.processDiscoveryResponse(new URL(issuer),
      await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' }))
    const client = await oauth.processDynamicClientRegistrationResponse(
      await oauth.dynamicClientRegistrationRequest(as, metadata, { ...insecure, initialAccessToken }))
    assert.equal(client.client_name, 'A client')
    await authorize(client.client_id, authenticate(client.client_secret))

    // RFC 7592, of which the library has nothing.
    const headers = { authorization: `Bearer ${client.registration_access_token}` }
    const about = await (await fetch(client.registration_client_uri, { headers })).json()
    assert.equal(about.client_id, client.client_id)
    assert.equal((await fetch(client.registration_client_uri, { method: 'DELETE', headers })).status, 204)
    await assert.rejects(authorize(client.client_id, authenticate(client.client_secret)))
  })
}

test('nobody registers without an initial access token', async () => {
  const as = await oauth.processDiscoveryResponse(new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' }))
  for (const token of [undefined, 'wrong']) {
    await assert.rejects((async () => oauth.processDynamicClientRegistrationResponse(
      await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [redirectUri] }, { ...insecure, initialAccessToken: token })))(),
    (err) => err.status === 401)
  }
})

/** Gets tokens with alice's consent, and others for the refresh token. */
async function authorize(id, authentication) {
  const config = await oidc.discovery(new URL(issuer), id, undefined, authentication, { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] })
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const link = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri, scope: 'orders:read', state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  })
  const token = await oidc.authorizationCodeGrant(config, await new Browser().visit(link, redirectUri), { pkceCodeVerifier, expectedState })
  assert.equal(token.scope, 'orders:read')
  await oidc.refreshTokenGrant(config, token.refresh_token)
}
