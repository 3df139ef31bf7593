/** Every page but the login's and the registration's is for those who are logged in. */
export default defineNuxtRouteMiddleware((to) => {
  const { isLoggedIn } = useSession()
  // There is no such page: that is told to everybody.
  if (!to.matched.length) return
  if (isPublic(to.name)) {
    return isLoggedIn.value ? navigateTo(safeRedirect(to.query.redirect)) : undefined
  }
  if (!isLoggedIn.value) {
    const query = to.fullPath === '/' ? {} : { redirect: to.fullPath }
    return navigateTo({ path: '/login', query })
  }
})
