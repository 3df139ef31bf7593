/** Leads to the login when the session ends, and keyboards and screen readers to each new page's beginning. */
export default defineNuxtPlugin({
  name: 'navigation',
  setup(nuxtApp) {
    const { isLoggedIn } = useSession()
    const router = useRouter()

    watch(isLoggedIn, (here) => {
      const { fullPath, name } = router.currentRoute.value
      if (here && isPublic(name)) void navigateTo(safeRedirect(router.currentRoute.value.query.redirect))
      if (here || isPublic(name)) return
      void navigateTo(hasLeft() ? '/login' : { path: '/login', query: { redirect: fullPath, ended: '1' } })
    })

    let moved = false
    router.afterEach((to, from, failure) => {
      if (!failure && from.matched.length && to.path !== from.path) moved = true
    })
    nuxtApp.hook('page:finish', () => {
      if (!moved) return
      moved = false
      const active = document.activeElement
      // A page that put the focus somewhere itself knows better.
      if (active && active !== document.body && document.querySelector('main')?.contains(active)) return
      document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
    })
  },
})
