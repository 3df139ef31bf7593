/** Whether this browser plays HLS by itself. */
export function canPlayStreams(): boolean {
  return document.createElement('video').canPlayType('application/vnd.apple.mpegurl') !== ''
}
