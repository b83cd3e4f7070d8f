// A client, and an API, written with oauth4webapi, as its documentation has it.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import { Browser, privateKey, settings } from './harness.mjs'

const { issuer, api, audience, other, clients, keys } = settings
const insecure = { [oauth.allowInsecureRequests]: true } // http on loopback
const redirectUri = 'http://127.0.0.1:49152/callback'
const as = await oauth.processDiscoveryResponse(new URL(issuer),
  await oauth.discoveryRequest(new URL(issuer), { ...insecure, algorithm: 'oauth2' }))

const authentications = {
  basic: oauth.ClientSecretBasic(clients.basic),
  post: oauth.ClientSecretPost(clients.post),
  hmac: oauth.ClientSecretJwt(clients.hmac),
}
for (const [alg, pkcs8] of Object.entries(keys)) {
  authentications[`key ${alg}`] = oauth.PrivateKeyJwt({ key: await privateKey(alg, pkcs8), kid: alg })
}

for (const [id, authentication] of Object.entries(authentications)) {
  test(`client credentials: ${id}`, async () => {
    const client = { client_id: id }
    const token = await clientCredentials(client, authentication)
    assert.equal(token.token_type, 'bearer')
    assert.equal(token.scope, 'orders:read')
    const claims = await oauth.validateJwtAccessToken(as, request(token.access_token), audience, insecure)
    assert.equal(claims.client_id, id)
    const about = await introspect(client, authentication, token.access_token)
    assert.equal(about.active, true)
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token.access_token, insecure))
    assert.deepEqual(await introspect(client, authentication, token.access_token), { active: false })
  })
}

const web = [{ client_id: 'web' }, oauth.ClientSecretBasic(clients.web)]
const spa = [{ client_id: 'spa' }, oauth.None()]
const pushed = [{ client_id: 'pushed' }, oauth.ClientSecretPost(clients.pushed)]

for (const [name, party, push] of [['confidential', web, false], ['confidential, pushed', web, true], ['public', spa, false], ['public, pushed', spa, true], ['pushed alone', pushed, true]]) {
  test(`authorization code: ${name}`, async () => {
    const token = await authorize(party, { push })
    const claims = await oauth.validateJwtAccessToken(as, request(token.access_token), audience, insecure)
    assert.equal(claims.sub, '1')
    assert.equal(claims.scope, 'orders:read')
    assert.equal((await fetchOrders(token.access_token)).status, 200)
  })
}

test('authorization code: one that has to be pushed is refused otherwise', async () => {
  await assert.rejects(authorize(pushed, { push: false }), (err) =>
    err instanceof oauth.AuthorizationResponseError && err.error === 'invalid_request')
})

test('authorization code: access denied', async () => {
  await assert.rejects(authorize(web, { forms: [{ username: 'alice', password: 'wonderland' }, { decision: 'deny' }] }), (err) =>
    err instanceof oauth.AuthorizationResponseError && err.error === 'access_denied')
})

test('authorization code: form_post', async () => {
  const page = await authorize(web, { parameters: { response_mode: 'form_post' }, page: true })
  assert.ok(page.includes(`action="${redirectUri}"`))
})

test('authorization code: works once, and what it got is gone then', async () => {
  const [client, authentication] = web
  let again
  const token = await authorize(web, { keep: (redeem) => { again = redeem } })
  await assert.rejects(again(), refusal('invalid_grant'))
  assert.deepEqual(await introspect(client, authentication, token.access_token), { active: false })
})

test('refresh: rotates, a retry gets the same, a theft ends it', async () => {
  const first = await authorize(web)
  const second = await refresh(web, first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  const retried = await refresh(web, first.refresh_token)
  assert.equal(retried.refresh_token, second.refresh_token)
  const third = await refresh(web, second.refresh_token)
  await assert.rejects(refresh(web, first.refresh_token), refusal('invalid_grant'))
  await assert.rejects(refresh(web, third.refresh_token), refusal('invalid_grant'))
})

test('refresh: of a public client', async () => {
  const first = await authorize(spa)
  const second = await refresh(spa, first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal((await fetchOrders(second.access_token)).status, 200)
})

for (const hint of ['refresh_token', 'access_token', undefined]) {
  test(`revocation: of a refresh token, with the hint ${hint}`, async () => {
    const [client, authentication] = web
    const token = await authorize(web)
    const options = { ...insecure, ...hint && { additionalParameters: { token_type_hint: hint } } }
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token.refresh_token, options))
    await assert.rejects(refresh(web, token.refresh_token), refusal('invalid_grant'))
    assert.deepEqual(await introspect(client, authentication, token.access_token), { active: false })
  })
}

test('introspection: by the API, of both kinds of tokens', async () => {
  const resource = [{ client_id: 'api' }, oauth.ClientSecretBasic(clients.api)]
  for (const [id, authentication] of [['basic', authentications.basic], ['opaque', oauth.ClientSecretBasic(clients.opaque)]]) {
    const token = await clientCredentials({ client_id: id }, authentication)
    const about = await introspect(...resource, token.access_token)
    assert.equal(about.active, true)
    assert.equal(about.client_id, id)
    assert.equal(about.iss, issuer)
    assert.equal((await fetchOrders(token.access_token)).status, 200)
  }
  assert.deepEqual(await introspect(...resource, 'nonsense'), { active: false })
})

test('DPoP: code, refresh, API and both its nonces, and validateJwtAccessToken', async () => {
  const handle = oauth.DPoP(spa[0], await oauth.generateKeyPair('ES256'))
  const token = await authorize(spa, { push: true, DPoP: handle })
  assert.equal(token.token_type, 'dpop')
  const next = await refresh(spa, token.refresh_token, handle)
  assert.equal(next.token_type, 'dpop')
  await assert.rejects(refresh(spa, next.refresh_token), refusal('invalid_grant', 'invalid_dpop_proof', 'invalid_request'))
  let sent
  const capture = async (url, init) => {
    sent = new Request(url, init)
    return fetch(url, init)
  }
  const get = (options) => oauth.protectedResourceRequest(next.access_token, 'GET', new URL('/orders', api), undefined, undefined, { ...insecure, ...options })
  assert.equal((await get({ DPoP: handle, [oauth.customFetch]: capture })).status, 200)
  const claims = await oauth.validateJwtAccessToken(as, sent, audience, { ...insecure, requireDPoP: true })
  assert.equal(claims.cnf.jkt, await handle.calculateThumbprint())
  await assert.rejects(get({}), (err) => err instanceof oauth.WWWAuthenticateChallengeError)
  const pay = () => oauth.protectedResourceRequest(next.access_token, 'POST', new URL('/payments', api), undefined, undefined, { ...insecure, DPoP: handle })
  await assert.rejects(pay(), oauth.isDPoPNonceError)
  assert.equal((await pay()).status, 200)
})

test('DPoP: a code is bound to the key of its request', async () => {
  const handle = async () => oauth.DPoP(spa[0], await oauth.generateKeyPair('ES256'))
  await assert.rejects(authorize(spa, { push: true, DPoP: await handle(), redeemWith: await handle() }), refusal('invalid_grant', 'invalid_dpop_proof'))
})

test('device', async () => {
  const client = { client_id: 'tv' }
  const device = await oauth.processDeviceAuthorizationResponse(as, client,
    await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'orders:read' }, insecure))
  const redeem = async () => oauth.processDeviceCodeResponse(as, client,
    await oauth.deviceCodeGrantRequest(as, client, oauth.None(), device.device_code, insecure))
  await assert.rejects(redeem(), refusal('authorization_pending'))
  await assert.rejects(redeem(), refusal('slow_down'))
  const other = await oauth.processDeviceAuthorizationResponse(as, client,
    await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'orders:read' }, insecure))
  assert.match(await new Browser().allow(other.verification_uri_complete), /Go back to your device/)
  const token = await oauth.processDeviceCodeResponse(as, client,
    await oauth.deviceCodeGrantRequest(as, client, oauth.None(), other.device_code, insecure))
  assert.equal((await fetchOrders(token.access_token)).status, 200)
  assert.ok(token.refresh_token)
})

test('token exchange', async () => {
  const subject = await authorize(web)
  const client = { client_id: 'gateway' }
  const answer = await oauth.processGenericTokenEndpointResponse(as, client, await oauth.genericTokenEndpointRequest(
    as, client, oauth.ClientSecretBasic(clients.gateway), 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: subject.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: other,
    }, insecure))
  assert.equal(answer.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
  const claims = await oauth.validateJwtAccessToken(as, request(answer.access_token), other, insecure)
  assert.equal(claims.sub, '1')
  assert.deepEqual(claims.act, { sub: 'gateway' })
})

test('refusals are understood', async () => {
  for (const [client_id, authentication] of [['basic', oauth.ClientSecretBasic('wrong')], ['post', oauth.ClientSecretPost('wrong')]]) {
    await assert.rejects(clientCredentials({ client_id }, authentication), (err) =>
      err instanceof oauth.WWWAuthenticateChallengeError && err.cause[0].scheme === 'basic' && err.status === 401)
  }
  await assert.rejects(clientCredentials({ client_id: 'basic' }, authentications.basic, { scope: 'nonsense' }), refusal('invalid_scope'))
  await assert.rejects(clientCredentials({ client_id: 'basic' }, authentications.basic, { resource: 'https://nobody.example' }), refusal('invalid_target'))
})

async function clientCredentials(client, authentication, parameters = { scope: 'orders:read' }) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, insecure)
  return oauth.processClientCredentialsResponse(as, client, response)
}

/** Gets tokens with alice's consent. */
async function authorize([client, authentication], { push = false, DPoP, redeemWith = DPoP, parameters, forms, page, keep } = {}) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const query = {
    client_id: client.client_id, response_type: 'code', redirect_uri: redirectUri, scope: 'orders:read', state, resource: audience,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  }
  const link = new URL(as.authorization_endpoint)
  if (push) {
    const response = await oauth.pushedAuthorizationRequest(as, client, authentication, query, { ...insecure, DPoP })
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response)
    link.search = new URLSearchParams({ client_id: client.client_id, request_uri })
  } else {
    link.search = new URLSearchParams(query)
  }
  const back = await new Browser().visit(link, redirectUri, forms)
  if (page) {
    return back
  }
  const answer = oauth.validateAuthResponse(as, client, back, state)
  const redeem = async () => oauth.processAuthorizationCodeResponse(as, client,
    await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, redirectUri, verifier, { ...insecure, DPoP: redeemWith }))
  keep?.(redeem)
  return redeem()
}

async function refresh([client, authentication], token, DPoP) {
  return oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, authentication, token, { ...insecure, DPoP }))
}

async function introspect(client, authentication, token) {
  return oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, authentication, token, insecure))
}

function fetchOrders(token) {
  return oauth.protectedResourceRequest(token, 'GET', new URL('/orders', api), undefined, undefined, insecure)
}

function request(token) {
  return new Request(new URL('/orders', api), { headers: { authorization: `Bearer ${token}` } })
}

function refusal(...codes) {
  return (err) => err instanceof oauth.ResponseBodyError && codes.includes(err.error)
}
