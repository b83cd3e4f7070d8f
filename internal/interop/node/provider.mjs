// An issuer made with oidc-provider, as its documentation has it. Its first line of
// output is its issuer identifier. To a line of input, which names the keys that it
// is to have from then on, it answers with a line when it has them.
//
// The path of a resource says how its tokens are signed, or that they are opaque,
// and, after another slash, how many seconds they are good.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'
import { settings } from './harness.mjs'

const { clients } = settings

const keys = new Map()

/** The keys of a generation, one for each algorithm. They are made when they are first named. */
async function generation(name) {
  if (!keys.has(name)) {
    keys.set(name, await Promise.all(['RS256', 'PS256', 'ES256', 'ES512', 'Ed25519'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true })
      return { ...await exportJWK(privateKey), alg, use: 'sig', kid: `${name} ${alg}` }
    })))
  }
  return keys.get(name)
}

async function start(issuer, generations) {
  const provider = new Provider(issuer, {
    clients,
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
    scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
    jwks: { keys: (await Promise.all(generations.map(generation))).flat() },
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES512', 'Ed25519'],
      introspectionSigningAlgValues: ['RS256', 'ES256'],
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_ctx, resource) {
          const [, format, seconds = 300] = new URL(resource).pathname.split('/')
          const server = { audience: resource, scope: 'orders:read orders:write', accessTokenTTL: Number(seconds), accessTokenFormat: 'opaque' }
          return format === 'opaque' ? server : { ...server, accessTokenFormat: 'jwt', jwt: { sign: { alg: format } } }
        },
      },
    },
  })
  return provider.callback()
}

let serve
const server = createServer((request, response) => serve(request, response))
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve) })
const issuer = `http://127.0.0.1:${server.address().port}`
serve = await start(issuer, ['first'])
console.log(issuer)
for await (const line of createInterface({ input: process.stdin })) {
  serve = await start(issuer, line.split(' '))
  console.log('done')
}
server.close()
