// A client written with openid-client, as its documentation has it.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oidc from 'openid-client'
import { Browser, privateKey, settings } from './harness.mjs'

const { issuer, api, audience, other, clients, keys } = settings
const redirectUri = 'http://127.0.0.1:49152/callback'

const machines = {
  basic: oidc.ClientSecretBasic(clients.basic),
  post: oidc.ClientSecretPost(clients.post),
  hmac: oidc.ClientSecretJwt(clients.hmac),
}
for (const [alg, pkcs8] of Object.entries(keys)) {
  machines[`key ${alg}`] = oidc.PrivateKeyJwt({ key: await privateKey(alg, pkcs8), kid: alg })
}

for (const [id, authentication] of Object.entries(machines)) {
  test(`client credentials: ${id}`, async () => {
    const config = await discover(id, authentication)
    const token = await oidc.clientCredentialsGrant(config, { scope: 'orders:read', resource: audience })
    assert.equal(token.token_type, 'bearer')
    assert.equal((await orders(config, token)).status, 200)
    assert.equal((await oidc.tokenIntrospection(config, token.access_token)).active, true)
    await oidc.tokenRevocation(config, token.access_token)
    assert.equal((await oidc.tokenIntrospection(config, token.access_token)).active, false)
  })
}

const people = {
  web: oidc.ClientSecretBasic(clients.web),
  pushed: oidc.ClientSecretPost(clients.pushed),
  spa: oidc.None(),
}

for (const [id, authentication] of Object.entries(people)) {
  for (const push of [false, true]) {
    if (id === 'pushed' && !push) {
      continue
    }
    test(`authorization code: ${id}${push ? ', pushed' : ''}`, async () => {
      const config = await discover(id, authentication)
      const first = await authorize(config, { push })
      assert.equal((await orders(config, first)).status, 200)
      const second = await oidc.refreshTokenGrant(config, first.refresh_token)
      assert.notEqual(second.refresh_token, first.refresh_token)
      const retried = await oidc.refreshTokenGrant(config, first.refresh_token)
      assert.equal(retried.refresh_token, second.refresh_token)
      assert.equal((await orders(config, retried)).status, 200)
      await oidc.tokenRevocation(config, second.refresh_token)
      await assert.rejects(oidc.refreshTokenGrant(config, second.refresh_token), refusal('invalid_grant'))
    })
  }
}

test('authorization code: access denied', async () => {
  const config = await discover('web', people.web)
  const forms = [{ username: 'alice', password: 'wonderland' }, { decision: 'deny' }]
  await assert.rejects(authorize(config, { forms }), (err) => err instanceof oidc.AuthorizationResponseError && err.error === 'access_denied')
})

test('authorization code: the state and the issuer are what they ought to be', async () => {
  const config = await discover('web', people.web)
  await assert.rejects(authorize(config, { edit: (url) => url.searchParams.set('state', 'another') }))
  await assert.rejects(authorize(config, { edit: (url) => url.searchParams.set('iss', 'http://127.0.0.1:1') }))
  await assert.rejects(authorize(config, { edit: (url) => url.searchParams.delete('iss') }))
})

for (const id of ['spa', 'bound']) {
  test(`DPoP: ${id}`, async () => {
    const config = await discover(id, id === 'spa' ? oidc.None() : oidc.ClientSecretBasic(clients.bound))
    for (const alg of ['ES256', 'Ed25519', 'RS256']) {
      const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair(alg))
      let token
      if (id === 'spa') {
        token = await authorize(config, { push: true, DPoP })
        token = await oidc.refreshTokenGrant(config, token.refresh_token, undefined, { DPoP })
      } else {
        token = await oidc.clientCredentialsGrant(config, { scope: 'orders:read' }, { DPoP })
      }
      assert.equal(token.token_type, 'dpop')
      assert.equal((await orders(config, token, { DPoP })).status, 200)
      assert.equal((await oidc.fetchProtectedResource(config, token.access_token, new URL('/payments', api), 'POST', null, undefined, { DPoP })).status, 200)
      const about = id === 'bound' && await oidc.tokenIntrospection(config, token.access_token)
      assert.equal(id === 'bound' ? about.cnf.jkt : undefined, id === 'bound' ? await DPoP.calculateThumbprint() : undefined)
    }
  })
}

test('DPoP: a client that is to have bound tokens gets no others', async () => {
  const config = await discover('bound', oidc.ClientSecretBasic(clients.bound))
  await assert.rejects(oidc.clientCredentialsGrant(config), refusal('invalid_dpop_proof'))
})

test('device', async () => {
  const config = await discover('tv', oidc.None())
  const device = await oidc.initiateDeviceAuthorization(config, { scope: 'orders:read' })
  assert.match(await new Browser().allow(device.verification_uri_complete), /Go back to your device/)
  device.interval = 0 // the first request brings the token
  const token = await oidc.pollDeviceAuthorizationGrant(config, device)
  assert.equal((await orders(config, token)).status, 200)
  assert.notEqual((await oidc.refreshTokenGrant(config, token.refresh_token)).refresh_token, token.refresh_token)
})

test('token exchange', async () => {
  const { access_token } = await authorize(await discover('web', people.web))
  const config = await discover('gateway', oidc.ClientSecretBasic(clients.gateway))
  const token = await oidc.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: other,
  })
  assert.equal(token.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
  assert.equal((await oidc.tokenIntrospection(config, token.access_token)).sub, '1')
})

async function discover(id, authentication) {
  return oidc.discovery(new URL(issuer), id, undefined, authentication, { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] })
}

/** Gets tokens with alice's consent. */
async function authorize(config, { push = false, DPoP, forms, edit } = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const parameters = {
    redirect_uri: redirectUri, scope: 'orders:read', state: expectedState, resource: audience,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }
  const link = push ? await oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP }) : oidc.buildAuthorizationUrl(config, parameters)
  const back = await new Browser().visit(link, redirectUri, forms)
  edit?.(back)
  return oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState }, { resource: audience }, { DPoP })
}

function orders(config, token, options) {
  return oidc.fetchProtectedResource(config, token.access_token, new URL('/orders', api), 'GET', null, undefined, options)
}

function refusal(code) {
  return (err) => err instanceof oidc.ResponseBodyError && err.error === code
}
