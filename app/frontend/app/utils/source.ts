/** How a video's address can be shown. */
export type Source
  = | { kind: 'file', url: string }
    /** A page of another site that shows the video. */
    | { kind: 'site', url: string, site: string }
    | { kind: 'unplayable', url: string, reason: string }

const sites: [RegExp, string][] = [
  [/(^|\.)(youtube\.com|youtube-nocookie\.com|youtu\.be)$/, 'YouTube'],
  [/(^|\.)vimeo\.com$/, 'Vimeo'],
  [/(^|\.)(dailymotion\.com|dai\.ly)$/, 'Dailymotion'],
  [/(^|\.)twitch\.tv$/, 'Twitch'],
  [/(^|\.)loom\.com$/, 'Loom'],
  [/(^|\.)tiktok\.com$/, 'TikTok'],
]
const fileEndings = /\.(mp4|m4v|webm|ogv|ogg|mov)$/i
const streamEndings = /\.m3u8$/i

/**
 * Finds out how an address can be shown, without asking anybody.
 *
 * @param ownOrigin the page's origin: browsers don't let an encrypted page load what is not
 * @param canPlayStreams whether this browser plays HLS by itself
 */
export function describeSource(address: string, ownOrigin: string, canPlayStreams: boolean): Source {
  let url: URL
  try {
    url = new URL(address)
  }
  catch {
    return { kind: 'unplayable', url: '', reason: 'Its address is not a web address.' }
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return { kind: 'unplayable', url: '', reason: 'Its address is not a web address.' }
  }
  const site = sites.find(([host]) => host.test(url.hostname))
  if (site) return { kind: 'site', url: url.href, site: site[1] }
  if (url.protocol === 'http:' && ownOrigin.startsWith('https:')) {
    return { kind: 'unplayable', url: url.href, reason: 'Its address begins with http://, and a page that is encrypted plays only what is encrypted as well (https://).' }
  }
  if (streamEndings.test(url.pathname)) {
    return canPlayStreams
      ? { kind: 'file', url: url.href }
      : { kind: 'unplayable', url: url.href, reason: 'It is a live stream (HLS), which this browser doesn’t play by itself.' }
  }
  if (fileEndings.test(url.pathname)) return { kind: 'file', url: url.href }
  return { kind: 'unplayable', url: url.href, reason: 'Its address doesn’t end like a video file (.mp4, .webm, .ogg, .m3u8), so it is probably a page.' }
}

/** The part of an address that tells people where it leads. */
export function hostOf(address: string): string {
  try {
    return new URL(address).hostname.replace(/^www\./, '')
  }
  catch {
    return ''
  }
}
