// Clients of an issuer that wants nonces in DPoP proofs, and that trusts another.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import { Browser, privateKey, settings } from './harness.mjs'

const { issuer, api, audience, clients, keys } = settings
const redirectUri = 'http://127.0.0.1:49152/callback'
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const insecure = { [oauth.allowInsecureRequests]: true } // http on loopback
const as = await oauth.processDiscoveryResponse(new URL(issuer),
  await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' }))

test('nonces: oauth4webapi, from the pushed request to the API', async () => {
  const client = { client_id: 'spa' }
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const parameters = {
    response_type: 'code', redirect_uri: redirectUri, scope: 'orders:read', state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  }
  const push = async () => oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, oauth.None(), parameters, { ...insecure, DPoP }))
  await assert.rejects(push(), oauth.isDPoPNonceError)
  const { request_uri } = await push()
  const link = new URL(as.authorization_endpoint)
  link.search = new URLSearchParams({ client_id: 'spa', request_uri })
  const answer = oauth.validateAuthResponse(as, client, await new Browser().visit(link, redirectUri), state)
  let token = await oauth.processAuthorizationCodeResponse(as, client,
    await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), answer, redirectUri, verifier, { ...insecure, DPoP }))
  assert.equal(token.token_type, 'dpop')
  token = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token.refresh_token, { ...insecure, DPoP }))
  const pay = () => oauth.protectedResourceRequest(token.access_token, 'POST', new URL('/payments', api), undefined, undefined, { ...insecure, DPoP })
  await assert.rejects(pay(), oauth.isDPoPNonceError)
  assert.equal((await pay()).status, 200)
})

test('nonces: a code outlives the refusal for want of one', async () => {
  const config = await discover('spa', oidc.None())
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const link = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri, scope: 'orders:read', state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  })
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const back = await new Browser().visit(link, redirectUri)
  const token = await oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState }, undefined, { DPoP })
  assert.equal(token.token_type, 'dpop')
})

for (const [id, authentication] of [
  ['bound', oidc.ClientSecretBasic(clients.bound)],
  ['key ES256', oidc.PrivateKeyJwt({ key: await privateKey('ES256', keys.ES256), kid: 'ES256' })],
]) {
  test(`nonces: openid-client, which tries again by itself: ${id}`, async () => {
    const config = await discover(id, authentication)
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    const token = await oidc.clientCredentialsGrant(config, { scope: 'orders:read' }, { DPoP })
    assert.equal(token.token_type, 'dpop')
    const paid = await oidc.fetchProtectedResource(config, token.access_token, new URL('/payments', api), 'POST', null, undefined, { DPoP })
    assert.equal(paid.status, 200)
  })
}

test('assertion: oauth4webapi', async () => {
  const client = { client_id: 'service' }
  const redeem = async (assertion) => oauth.processGenericTokenEndpointResponse(as, client,
    await oauth.genericTokenEndpointRequest(as, client, oauth.ClientSecretBasic(clients.service), jwtBearer, { assertion, scope: 'orders:read' }, insecure))
  const assertion = await vouch()
  const token = await redeem(assertion)
  const request = new Request(new URL('/orders', api), { headers: { authorization: `Bearer ${token.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(as, request, audience, insecure)
  assert.equal(claims.sub, 'partner:carol')
  assert.equal(claims.client_id, 'service')
  await assert.rejects(redeem(assertion), (err) => err instanceof oauth.ResponseBodyError && err.error === 'invalid_grant')
  await assert.rejects(redeem(await vouch({ aud: 'https://another.example' })), (err) => err.error === 'invalid_grant')
})

test('assertion: openid-client', async () => {
  const config = await discover('service', oidc.ClientSecretBasic(clients.service))
  const token = await oidc.genericGrantRequest(config, jwtBearer, { assertion: await vouch() })
  const response = await oidc.fetchProtectedResource(config, token.access_token, new URL('/orders', api), 'GET')
  assert.equal(await response.text(), 'served to partner:carol')
})

async function discover(id, authentication) {
  return oidc.discovery(new URL(issuer), id, undefined, authentication, { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] })
}

/** An assertion about carol by the issuer that is trusted (RFC 7523 section 2.1). */
async function vouch(edits) {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'https://partner.example', sub: 'carol', aud: issuer, iat: now, exp: now + 60, jti: crypto.randomUUID(), ...edits }
  const signed = [{ alg: 'ES256', kid: 'partner' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, await privateKey('ES256', keys.partner), Buffer.from(signed))
  return `${signed}.${Buffer.from(signature).toString('base64url')}`
}
