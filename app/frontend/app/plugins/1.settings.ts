/** Nothing of the page works without knowing where the API is. */
export default defineNuxtPlugin({
  name: 'settings',
  async setup() {
    try {
      await loadSettings()
    }
    catch (cause) {
      showError(createError({
        status: 503,
        statusText: 'The page can’t find its server',
        message: cause instanceof Error ? cause.message : String(cause),
        cause,
        fatal: true,
      }))
    }
  },
})
