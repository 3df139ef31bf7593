interface PageSettings {
  apiBase: string
  /** Where the WebSocket is, if it is not at the API. */
  websocketUrl?: string
}

let settings: PageSettings | null = null

/** What the page's own server tells of the stack around it; loaded once, before anything else. */
export async function loadSettings(): Promise<void> {
  if (import.meta.dev) {
    settings = { apiBase: useRuntimeConfig().public.apiBase }
    return
  }
  const response = await fetch('/config.json', { cache: 'no-store' })
  if (!response.ok) throw new Error(`/config.json: the server answered ${response.status}`)
  const { api_base: apiBase, websocket_url: websocketUrl }
    = await response.json() as { api_base?: unknown, websocket_url?: unknown }
  if (typeof apiBase !== 'string') throw new Error('/config.json has no api_base')
  settings = {
    apiBase: apiBase.replace(/\/+$/, ''),
    websocketUrl: typeof websocketUrl === 'string' ? websocketUrl : undefined,
  }
}

/** The address of a path of the API. */
export function apiAddress(path: string): string {
  if (!settings) throw new Error('The settings are used before they are loaded')
  return new URL(settings.apiBase + path, window.location.origin).href
}

/** The address of the WebSocket. */
export function eventsAddress(): string {
  return settings?.websocketUrl ?? apiAddress('/ws').replace(/^http/, 'ws')
}
