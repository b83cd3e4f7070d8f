// What the programs here have in common: settings, and alice's browser.

/** What the Go test that runs the program tells it. */
export const settings = JSON.parse(process.env.SETTINGS ?? '{}')

const signIn = { username: 'alice', password: 'wonderland' }
const consent = { decision: 'allow' }

/** A browser with cookies for one site, in which alice does what she is asked to. */
export class Browser {
  #cookies = new Map()

  /**
   * Opens a link, fills in and sends the form of each page. It returns the URL that
   * leads back to redirectUri, or the last page if nothing does.
   */
  async visit(link, redirectUri, forms = [signIn, consent]) {
    let answer = await this.#go(link, {}, redirectUri)
    for (const filled of forms) {
      if (answer instanceof URL) {
        break
      }
      const form = new URLSearchParams(fields(answer.page))
      for (const [name, value] of Object.entries(filled)) {
        form.set(name, value)
      }
      const action = new URL(unescape(/action="([^"]+)"/.exec(answer.page)[1]), answer.at)
      answer = await this.#go(action, { method: 'POST', body: form }, redirectUri)
    }
    return answer instanceof URL ? answer : answer.page
  }

  /** Allows a device, whose user code is in the link. */
  async allow(link) {
    return this.visit(link, undefined, [{}, signIn, consent])
  }

  async #go(url, init, redirectUri) {
    for (;;) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, { ...init, headers: { cookie }, redirect: 'manual' })
      for (const set of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)
        if (/; *max-age=0/i.test(set)) {
          this.#cookies.delete(name)
        } else {
          this.#cookies.set(name, value)
        }
      }
      let location = response.headers.get('location')
      if (!location) {
        const page = await response.text()
        if (response.status !== 200) {
          throw new Error(`${url}: ${response.status} ${page}`)
        }
        const [, link] = /<a href="([^"]+)">Go on</.exec(page) ?? [] // from a notice
        if (!link) {
          return { page, at: url }
        }
        location = unescape(link)
      }
      url = new URL(location, url)
      init = {}
      if (redirectUri && url.href.startsWith(redirectUri)) {
        return url
      }
    }
  }
}

function fields(page) {
  return [...page.matchAll(/<input [^>]*name="([^"]+)"[^>]* value="([^"]*)"/g)].map(([, name, value]) => [name, unescape(value)])
}

function unescape(text) {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(amp|lt|gt|quot));/gi, (_, decimal, hex, name) =>
    name ? { amp: '&', lt: '<', gt: '>', quot: '"' }[name] : String.fromCodePoint(decimal ?? parseInt(hex, 16)))
}

/** The private key of an algorithm, from PKCS #8 in base64. */
export function privateKey(alg, pkcs8) {
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
  const rsa = { RS: 'RSASSA-PKCS1-v1_5', PS: 'RSA-PSS' }[alg.slice(0, 2)]
  const algorithm = rsa ? { name: rsa, hash: `SHA-${alg.slice(2)}` } :
    curves[alg] ? { name: 'ECDSA', namedCurve: curves[alg] } : { name: 'Ed25519' }
  return crypto.subtle.importKey('pkcs8', Buffer.from(pkcs8, 'base64'), algorithm, false, ['sign'])
}
