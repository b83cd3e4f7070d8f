// A client written with oauth4webapi, as its documentation has it:
//
//	node client.mjs https://127.0.0.1:1234 ES256
//
// It gets a token that is bound to a new DPoP key, makes its calls, and prints what
// came of each as a line of JSON.
import * as oauth from 'oauth4webapi'

const [base, alg] = process.argv.slice(2)
const as = { issuer: base, token_endpoint: `${base}/token` }
const client = { client_id: 'app' }

const bound = oauth.DPoP(client, await oauth.generateKeyPair(alg))
const response = await oauth.clientCredentialsGrantRequest(as, client, oauth.None(), { scope: 'orders:read' }, { DPoP: bound })
const { access_token: token, token_type: type } = await oauth.processClientCredentialsResponse(as, client, response)
if (type !== 'dpop') {
  throw new Error(`token_type: ${type}`)
}

await report('a proof', 'GET', '/orders', bound)
await report('a query', 'GET', '/orders?page=2&sort=a%2Fb', bound)
await report('no nonce yet', 'POST', '/payments', bound)
await report('the nonce of the refusal', 'POST', '/payments', bound)
await report('the nonce, known by now', 'POST', '/payments', bound)
await report('a nonce where none is asked for', 'GET', '/orders', bound)
await report('another key', 'GET', '/orders', oauth.DPoP(client, await oauth.generateKeyPair(alg)))
await report('no proof', 'GET', '/orders')

// The library throws what the API refuses with a challenge that it understands.
async function report(call, method, path, DPoP) {
  const outcome = { call }
  try {
    const response = await oauth.protectedResourceRequest(token, method, new URL(path, base), undefined, undefined, { DPoP })
    outcome.status = response.status
    outcome.body = await response.text()
  } catch (err) {
    if (!(err instanceof oauth.WWWAuthenticateChallengeError)) {
      throw err
    }
    outcome.status = err.status
    outcome.scheme = err.cause.map((challenge) => challenge.scheme).join(' ')
    outcome.error = err.cause[0].parameters.error
    outcome.retry = oauth.isDPoPNonceError(err)
  }
  console.log(JSON.stringify(outcome))
}
