import { shallowRef } from 'vue'
import type { ConnectionState } from '~/utils/event-connection'

const state = shallowRef<ConnectionState>('stopped')

/** How the page follows the server's events just now. */
export function useConnectionState() {
  return state
}
