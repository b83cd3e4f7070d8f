// A client of the Model Context Protocol made with its TypeScript SDK. It knows the
// address of the server, and finds all else from there.
import assert from 'node:assert/strict'
import { test as define } from 'node:test'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Browser, settings } from './harness.mjs'

const { issuer, server, secret, key, clientMetadataUrl, tests } = settings
const redirectUri = 'http://127.0.0.1:49152/callback'

/** Defines a test, if it is one of those that are wanted. */
function test(name, run) {
  if (tests.includes(name)) {
    define(name, run)
  }
}

/** What an application keeps, for a client that is registered or that has to be. */
class Keeping {
  redirectUrl = redirectUri
  clientMetadata = { client_name: 'A client', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] }
  expected = crypto.randomUUID()

  constructor(kept) { Object.assign(this, kept) }
  state() { return this.expected }
  clientInformation() { return this.client }
  saveClientInformation(client) { this.client = client }
  tokens() { return this.kept }
  saveTokens(tokens) { this.kept = tokens }
  saveCodeVerifier(verifier) { this.verifier = verifier }
  codeVerifier() { return this.verifier }
  redirectToAuthorization(url) { this.link = url }
}

// The application's whole way: refused, sent to the issuer, back with a code.
for (const [name, kept] of Object.entries({
  'a client that is registered': { client: { client_id: 'assistant' } },
  'a client that registers itself': {},
  'a client that is a metadata document': { clientMetadataUrl },
})) {
  test(name, async () => {
    const keeping = new Keeping(kept)
    await assert.rejects(connect(keeping), UnauthorizedError)
    assert.equal(keeping.link.searchParams.get('resource'), server)
    assert.equal(keeping.link.searchParams.get('scope'), 'tools:read')
    await signIn(keeping)
    const client = await connect(keeping)
    assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ['whoami', 'change'])
    assert.equal(await whoami(client), '1')

    const { access_token, refresh_token } = keeping.kept
    keeping.kept = { ...keeping.kept, access_token: 'ended' }
    assert.equal(await whoami(client), '1')
    assert.notEqual(keeping.kept.refresh_token, refresh_token)
    assert.notEqual(keeping.kept.access_token, access_token)
    await client.close()
  })
}

test('a tool that wants more', async () => {
  const keeping = new Keeping({ client: { client_id: 'brief assistant' } }) // with a refresh token the SDK does not ask for more
  await assert.rejects(connect(keeping), UnauthorizedError)
  await signIn(keeping)
  const client = await connect(keeping)
  await assert.rejects(client.callTool({ name: 'change' }), UnauthorizedError)
  assert.equal(keeping.link.searchParams.get('scope'), 'tools:read tools:write')
  await signIn(keeping)
  assert.equal((await client.callTool({ name: 'change' })).content[0].text, 'changed')
  await client.close()
})

test('client credentials', async () => {
  for (const provider of [
    new ClientCredentialsProvider({ clientId: 'robot', clientSecret: secret, scope: 'tools:read', expectedIssuer: issuer }),
    new PrivateKeyJwtProvider({ clientId: 'signing robot', privateKey: key, algorithm: 'ES256', scope: 'tools:read', expectedIssuer: issuer }),
  ]) {
    const client = await connect(provider)
    assert.equal(await whoami(client), provider.clientInformation().client_id)
    await client.close()
  }
})

async function connect(authProvider) {
  const client = new Client({ name: 'interop', version: '1.0.0' })
  const transport = new StreamableHTTPClientTransport(new URL(server), { authProvider })
  authProvider.transport = transport
  await client.connect(transport)
  return client
}

/** Alice signs in and allows it. */
async function signIn(keeping) {
  const back = await new Browser().visit(keeping.link, redirectUri)
  assert.equal(back.searchParams.get('state'), keeping.expected)
  assert.equal(back.searchParams.get('iss'), issuer)
  await keeping.transport.finishAuth(back.searchParams.get('code'))
}

async function whoami(client) {
  return (await client.callTool({ name: 'whoami' })).content[0].text
}
