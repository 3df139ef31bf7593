// Errors as RFC 9457 problem documents.
import { STATUS_CODES } from 'node:http'

export class Problem extends Error {
  constructor(statusCode, detail, errors) {
    super(detail)
    this.statusCode = statusCode
    this.errors = errors
  }
}

export const unauthorized = (detail) => new Problem(401, detail)
export const forbidden = (detail) => new Problem(403, detail)
export const notFound = (detail) => new Problem(404, detail)
export const invalid = (detail, errors) => new Problem(422, detail, errors)

const fieldErrors = (validation) =>
  validation.map(({ instancePath, params, message }) => ({
    field: params?.missingProperty ?? params?.additionalProperty ?? instancePath.slice(1),
    message,
  }))

const send = (reply, status, detail, errors) =>
  reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, errors }))

export function installProblems(app) {
  app.setErrorHandler((error, request, reply) => {
    if (error.validation) {
      return send(reply, 422, 'The request is not valid.', fieldErrors(error.validation))
    }
    const status = error.statusCode ?? 500
    if (status >= 500) {
      console.error(error)
      return send(reply, status, 'The server could not answer.')
    }
    return send(reply, status, error.message, error.errors)
  })
  app.setNotFoundHandler((request, reply) => send(reply, 404, 'There is nothing here.'))
}
