import { describe, expect, it } from 'vitest'
import { drawCover } from '../app/utils/cover'
import { ApiProblem, explain, fieldSentence, readProblem, readRetryAfter, Unreachable } from '../app/utils/failures'
import { safeRedirect } from '../app/utils/redirect'
import { relativeTime } from '../app/utils/relative-time'
import { describeSource, hostOf } from '../app/utils/source'

describe('failures', () => {
  it('reads a problem document', async () => {
    const errors = [{ field: 'title', code: 'required', message: 'is empty' }]
    const body = JSON.stringify({ type: 'about:blank', title: 'Unprocessable', status: 422, detail: 'title: is empty', errors })
    const problem = await readProblem(new Response(body, { status: 422 }))
    expect(problem).toMatchObject({ status: 422, detail: 'title: is empty', errors })
  })

  it('makes do with what a proxy answers', async () => {
    const problem = await readProblem(new Response('<html>', { status: 502, statusText: 'Bad Gateway' }))
    expect(problem).toMatchObject({ status: 502, detail: 'Bad Gateway', errors: [] })
    expect(explain(problem)).toEqual({ title: 'The server has a problem', advice: 'Bad Gateway. Try again in a moment.' })
  })

  it('tells how long to wait', () => {
    expect(readRetryAfter('7')).toBe(7)
    expect(readRetryAfter('Sat, 01 Aug 2026 10:00:30 GMT', Date.parse('2026-08-01T10:00:00Z'))).toBe(30)
    expect(readRetryAfter('soon')).toBeNull()
    expect(readRetryAfter(null)).toBeNull()
    expect(explain(new ApiProblem(429, 'Slow down', [], 1)).advice).toBe('Wait 1 second, then try again.')
  })

  it('says what to try', () => {
    expect(explain(new Unreachable()).advice).toContain('connection')
    expect(explain(new ApiProblem(401, 'The email address or the password is wrong')).title).toContain('password')
    expect(explain(new RangeError('x')).title).not.toContain('x')
  })

  it('makes sentences of field errors', () => {
    const sentence = (message: string) => fieldSentence('Title', { field: 'title', code: 'c', message })
    expect(sentence('is empty')).toBe('Title is empty.')
    expect(sentence('Choose another one.')).toBe('Choose another one.')
  })
})

describe('describeSource', () => {
  const kind = (address: string, streams = false) => describeSource(address, 'http://localhost:3000', streams).kind

  it('plays files', () => {
    expect(kind('https://example.com/a.MP4?x=1')).toBe('file')
    expect(kind('https://example.com/a.webm#t=10')).toBe('file')
    expect(kind('http://localhost:3000/a.ogv')).toBe('file')
  })

  it('plays live streams where the browser can', () => {
    expect(kind('https://example.com/a.m3u8', true)).toBe('file')
    expect(kind('https://example.com/a.m3u8')).toBe('unplayable')
  })

  it('leads to the sites that it knows, and to no look-alike', () => {
    expect(describeSource('https://www.youtube.com/watch?v=1', '', false)).toMatchObject({ kind: 'site', site: 'YouTube' })
    expect(describeSource('https://player.vimeo.com/video/1', '', false)).toMatchObject({ site: 'Vimeo' })
    expect(kind('https://notyoutube.com/a.mp4')).toBe('file')
    expect(kind('https://youtube.com.example.org/watch')).toBe('unplayable')
  })

  it('plays nothing unencrypted on an encrypted page', () => {
    expect(kind('http://example.com/a.mp4')).toBe('file')
    expect(describeSource('http://example.com/a.mp4', 'https://streamify.example', false).kind).toBe('unplayable')
  })

  it('links to nothing that is no web address', () => {
    expect(describeSource('javascript:alert(1)', '', false)).toMatchObject({ kind: 'unplayable', url: '' })
    expect(describeSource('nonsense', '', false)).toMatchObject({ kind: 'unplayable', url: '' })
  })

  it('names hosts', () => {
    expect(hostOf('https://www.example.com/a')).toBe('example.com')
    expect(hostOf('?')).toBe('')
  })
})

describe('safeRedirect', () => {
  it('stays on this page', () => {
    expect(safeRedirect('/videos/1?x=1#y')).toBe('/videos/1?x=1#y')
    for (const elsewhere of ['https://example.com', '//example.com', '/\\example.com', '/\t/example.com', 'videos', undefined, ['/a']]) {
      expect(safeRedirect(elsewhere)).toBe('/')
    }
  })

  it('does not lead in circles', () => {
    expect(safeRedirect('/login?redirect=/login')).toBe('/')
    expect(safeRedirect('/register')).toBe('/')
    expect(safeRedirect('/login-help')).toBe('/login-help')
  })
})

describe('relativeTime', () => {
  const now = Date.parse('2026-08-01T12:00:00Z')
  it.each([
    ['2026-08-01T12:00:05Z', 'just now'],
    ['2026-08-01T11:59:30Z', 'just now'],
    ['2026-08-01T11:58:10Z', '1 minute ago'],
    ['2026-08-01T09:00:00Z', '3 hours ago'],
    ['2026-07-31T11:00:00Z', 'yesterday'],
    ['2025-05-01T12:00:00Z', 'last year'],
  ])('%s is %s', (moment, text) => expect(relativeTime(moment, now)).toBe(text))
})

describe('drawCover', () => {
  it('draws the same for the same id, and many for many', () => {
    expect(drawCover('a')).toEqual(drawCover('a'))
    const many = Array.from({ length: 200 }, (_, number) => JSON.stringify(drawCover(`id ${number}`)))
    expect(new Set(many).size).toBeGreaterThan(190)
    expect(many.join()).not.toMatch(/NaN|undefined|null/)
  })
})
