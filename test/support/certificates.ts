import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pathOf } from './parts.ts'

const run = promisify(execFile)

export type Certificates = { caFile: string; certFile: string; keyFile: string }

/** Makes an authority and a certificate for localhost and 127.0.0.1, valid for a day, with openssl. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const path = (name: string) => join(dir, name)
  const files = { caFile: path('ca.crt'), certFile: path('server.crt'), keyFile: path('server.key') }
  const openssl = (...args: string[]) => run(pathOf('openssl'), args)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

  await openssl(
    ...['req', '-x509', ...newKey, '-keyout', path('ca.key'), '-out', files.caFile],
    ...['-days', '1', '-subj', '/CN=Test authority'],
  )
  await openssl('req', ...newKey, '-keyout', files.keyFile, '-out', path('server.csr'), '-subj', '/CN=localhost')
  writeFileSync(path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  await openssl(
    ...['x509', '-req', '-in', path('server.csr'), '-CA', files.caFile, '-CAkey', path('ca.key'), '-CAcreateserial'],
    ...['-out', files.certFile, '-days', '1', '-extfile', path('names')],
  )
  return files
}
