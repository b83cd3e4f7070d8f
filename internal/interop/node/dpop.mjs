// A client written with oauth4webapi, as its documentation has it:
//
//	CLIENT_ID=… CLIENT_SECRET=… node dpop.mjs https://127.0.0.1:1234 https://127.0.0.1:5678 ES256
//
// It gets tokens from the issuer, the first address, that are bound to a new DPoP
// key, shows the last one to the API, the second, and prints what came of each call
// as a line of JSON.
import * as oauth from 'oauth4webapi'

const [issuer, api, alg] = process.argv.slice(2)
const client = { client_id: process.env.CLIENT_ID }
const authentication = oauth.ClientSecretBasic(process.env.CLIENT_SECRET)
const metadata = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2' })
const as = await oauth.processDiscoveryResponse(new URL(issuer), metadata)

const bound = oauth.DPoP(client, await oauth.generateKeyPair(alg))
await grant('a token, no nonce yet')
await grant('a token, the nonce of the refusal')
const token = await grant('a token, the nonce known by now')

await request('a proof', 'GET', '/orders', bound)
await request('a query', 'GET', '/orders?page=2&sort=a%2Fb', bound)
await request('no nonce yet', 'POST', '/payments', bound)
await request('the nonce of the refusal', 'POST', '/payments', bound)
await request('the nonce, known by now', 'POST', '/payments', bound)
await request('a nonce where none is asked for', 'GET', '/orders', bound)
await request('another key', 'GET', '/orders', oauth.DPoP(client, await oauth.generateKeyPair(alg)))
await request('no proof', 'GET', '/orders')

async function grant(call) {
  let token
  await report(call, async (outcome) => {
    const parameters = { scope: 'orders:read' }
    const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, { DPoP: bound })
    const answer = await oauth.processClientCredentialsResponse(as, client, response)
    token = answer.access_token
    outcome.status = response.status
    outcome.scheme = answer.token_type
  })
  return token
}

async function request(call, method, path, DPoP) {
  await report(call, async (outcome) => {
    const response = await oauth.protectedResourceRequest(token, method, new URL(path, api), undefined, undefined, { DPoP })
    outcome.status = response.status
    outcome.body = await response.text()
  })
}

// The library throws what a server refuses in a way that it understands: the issuer
// in the body, the API in a challenge.
async function report(call, make) {
  const outcome = { call }
  try {
    await make(outcome)
  } catch (err) {
    if (err instanceof oauth.ResponseBodyError) {
      outcome.error = err.error
    } else if (err instanceof oauth.WWWAuthenticateChallengeError) {
      outcome.scheme = err.cause.map((challenge) => challenge.scheme).join(' ')
      outcome.error = err.cause[0].parameters.error
    } else {
      throw err
    }
    outcome.status = err.status
    outcome.retry = oauth.isDPoPNonceError(err)
  }
  console.log(JSON.stringify(outcome))
}
