import { EventConnection } from '~/utils/event-connection'
import { EventMemory } from '~/utils/event-memory'

/** Follows the events for as long as somebody is logged in. */
export default defineNuxtPlugin({
  name: 'events',
  setup() {
    const { user, token, accessToken } = useSession()
    const connectionState = useConnectionState()
    const feed = useVideoFeed()
    const toasts = useNewVideoToasts()
    let connection: EventConnection | null = null

    function connect(userId: string): EventConnection {
      return new EventConnection({
        open: () => new WebSocket(eventsAddress()),
        accessToken,
        isOnline: () => navigator.onLine,
        memory: new EventMemory(sessionStorage, `streamify.events.${userId}`),
        onEvent: ({ data }) => {
          feed.added([data])
          toasts.tell([data])
        },
        onGap: () => void feed.catchUp().then(news => toasts.tell(news.toReversed())),
        onState: (state) => { connectionState.value = state },
      })
    }

    watch(() => user.value?.id, (userId) => {
      connection?.stop()
      connection = null
      feed.forget()
      toasts.clear()
      if (!userId) return
      connection = connect(userId)
      connection.start()
    }, { immediate: true })

    watch(token, (fresh) => {
      if (fresh) connection?.renew(fresh)
    })

    window.addEventListener('online', () => connection?.wake())
    window.addEventListener('offline', () => connection?.sleep())
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') connection?.wake()
    })
    // A page that the browser keeps for the back button comes back without its socket.
    window.addEventListener('pageshow', (event) => {
      if (event.persisted) connection?.wake()
    })
  },
})
