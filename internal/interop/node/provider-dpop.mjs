// A client made with openid-client, whose tokens an issuer binds to a DPoP key.
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oidc from 'openid-client'
import { settings } from './harness.mjs'

const { issuer, apis, secret } = settings
const config = await oidc.discovery(new URL(issuer), 'machine', undefined, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] })

for (const [resource, api] of Object.entries(apis)) {
  test(resource, async () => {
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    const { access_token } = await oidc.clientCredentialsGrant(config, { scope: 'orders:read', resource }, { DPoP })
    const get = (options) => oidc.fetchProtectedResource(config, access_token, new URL(api), 'GET', null, undefined, options)
    assert.equal(await (await get({ DPoP })).text(), 'machine')
    const another = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    for (const options of [undefined, { DPoP: another }]) {
      await assert.rejects(get(options), (err) => err instanceof oidc.WWWAuthenticateChallengeError && err.status === 401)
    }
  })
}
