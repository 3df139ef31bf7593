/** Where to go after the login: only a path of this page, whatever somebody wrote into the address. */
export function safeRedirect(wanted: unknown): string {
  if (typeof wanted !== 'string' || !wanted.startsWith('/')) return '/'
  // Browsers read both `//host` and `/\host` as another host.
  if (/^\/[/\\]/.test(wanted) || /[\t\n\r]/.test(wanted)) return '/'
  return /^\/(login|register)([/?#]|$)/.test(wanted) ? '/' : wanted
}

/** Whether a route is for those who are not logged in. */
export function isPublic(name: unknown): boolean {
  return name === 'login' || name === 'register'
}
