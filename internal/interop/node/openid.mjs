// Relying parties written with openid-client and oauth4webapi, as their
// documentation has it.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import { Browser, settings } from './harness.mjs'

const { issuer, api, audience, secret } = settings
const redirectUri = 'https://app.example/callback' // consent is remembered for https alone
const signedOut = 'https://app.example/signed-out'
const insecure = { [oauth.allowInsecureRequests]: true } // http on loopback
const scope = 'openid profile email orders:read'

const config = await oidc.discovery(new URL(issuer), 'web', undefined, oidc.ClientSecretBasic(secret), {
  execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
})

test('openid-client: ID token, userinfo, refresh', async () => {
  const { token } = await authorize(new Browser())
  const claims = token.claims()
  assert.equal(claims.sub, '1')
  assert.equal(claims.iss, issuer)
  const about = await oidc.fetchUserInfo(config, token.access_token, claims.sub)
  assert.equal(about.email, 'alice@example.com')
  const next = await oidc.refreshTokenGrant(config, token.refresh_token)
  assert.equal((await oidc.fetchUserInfo(config, next.access_token, '1')).sub, '1')
  if (next.id_token) {
    assert.equal(next.claims().auth_time, claims.auth_time)
  }
})

test('openid-client: the access token is for the API and the userinfo endpoint, the ID token for neither', async () => {
  const { token } = await authorize(new Browser(), { resource: audience })
  assert.equal((await orders(token.access_token)).status, 200)
  await assert.rejects(orders(token.id_token), challenge)
  await assert.rejects(oidc.fetchUserInfo(config, token.id_token, '1'), challenge)
  assert.equal((await oidc.tokenIntrospection(config, token.id_token)).active, false)
})

test('openid-client: DPoP', async () => {
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const { token } = await authorize(new Browser(), {}, DPoP)
  assert.equal(token.token_type, 'dpop')
  assert.equal((await oidc.fetchUserInfo(config, token.access_token, '1', { DPoP })).sub, '1')
  await assert.rejects(oidc.fetchUserInfo(config, token.access_token, '1'), challenge)
})

test('openid-client: prompt and max_age', async () => {
  const browser = new Browser()
  await assert.rejects(authorize(browser, { prompt: 'none' }), (err) => err instanceof oidc.AuthorizationResponseError && err.error === 'login_required')
  await authorize(browser)
  await assert.rejects(authorize(browser, { prompt: 'none', scope: 'openid orders:read orders:write' }), (err) =>
    err instanceof oidc.AuthorizationResponseError && err.error === 'consent_required')
  const { token } = await authorize(browser, { prompt: 'none' })
  assert.equal(token.claims().sub, '1')
  const { token: fresh } = await authorize(browser, { max_age: '300' })
  assert.equal(typeof fresh.claims().auth_time, 'number')
})

test('openid-client: signing out', async () => {
  const browser = new Browser()
  const { token } = await authorize(browser)
  const link = oidc.buildEndSessionUrl(config, { id_token_hint: token.id_token, post_logout_redirect_uri: signedOut, state: 'a state' })
  const back = await browser.visit(link, signedOut, [{}])
  assert.equal(back.searchParams.get('state'), 'a state')
  await assert.rejects(authorize(browser, { prompt: 'none' }), (err) => err.error === 'login_required')
})

test('oauth4webapi: ID token and userinfo', async () => {
  const client = { client_id: 'web' }
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure))
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  const link = new URL(as.authorization_endpoint)
  link.search = new URLSearchParams({
    client_id: 'web', response_type: 'code', redirect_uri: redirectUri, scope, state, nonce, max_age: '300',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const answer = oauth.validateAuthResponse(as, client, await new Browser().visit(link, redirectUri), state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, oauth.ClientSecretBasic(secret), answer, redirectUri, verifier, insecure)
  const token = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, maxAge: 300, requireIdToken: true })
  await oauth.validateApplicationLevelSignature(as, response, insecure)
  const { sub } = oauth.getValidatedIdTokenClaims(token)
  const about = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, token.access_token, insecure))
  assert.equal(about.name, 'Alice Example')
})

/** Has alice sign in as far as she is asked to. */
async function authorize(browser, parameters = {}, DPoP) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [oidc.randomState(), oidc.randomNonce()]
  const link = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri, scope, state: expectedState, nonce: expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  })
  const back = await browser.visit(link, redirectUri)
  const maxAge = parameters.max_age && Number(parameters.max_age)
  const token = await oidc.authorizationCodeGrant(config, back,
    { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, maxAge }, undefined, { DPoP })
  return { token }
}

function orders(token) {
  return oidc.fetchProtectedResource(config, token, new URL('/orders', api), 'GET')
}

function challenge(err) {
  return err instanceof oidc.WWWAuthenticateChallengeError && err.status === 401
}
