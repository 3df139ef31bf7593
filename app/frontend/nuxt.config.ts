export default defineNuxtConfig({
  compatibilityDate: '2026-08-01',
  // A static page: the same files are embedded in the binary and put into a bucket.
  ssr: false,
  modules: ['@nuxt/eslint'],
  components: [{ path: '~/components', pathPrefix: false }],
  devtools: { enabled: false },
  telemetry: false,
  typescript: { strict: true },
  css: [
    '@fontsource-variable/bricolage-grotesque/wght.css',
    'vue-sonner/style.css',
    '~/assets/styles/tokens.css',
    '~/assets/styles/base.css',
    '~/assets/styles/controls.css',
  ],
  runtimeConfig: {
    public: {
      // Only `nuxt dev` reads it (NUXT_PUBLIC_API_BASE): the built page asks its own server for /config.json.
      apiBase: 'http://localhost:3001',
    },
  },
  app: {
    head: {
      htmlAttrs: { lang: 'en' },
      title: 'Streamify',
      meta: [
        { name: 'viewport', content: 'width=device-width, initial-scale=1' },
        { name: 'description', content: 'Your team’s videos, seen the moment they are added.' },
        { name: 'color-scheme', content: 'light dark' },
        { name: 'theme-color', media: '(prefers-color-scheme: light)', content: '#f2f5f3' },
        { name: 'theme-color', media: '(prefers-color-scheme: dark)', content: '#0b1312' },
      ],
      link: [
        { rel: 'icon', type: 'image/svg+xml', href: '/favicon.svg' },
        { rel: 'manifest', href: '/site.webmanifest' },
      ],
      // A file, not inline: a strict Content-Security-Policy stays possible. It must run before the first paint.
      script: [{ src: '/theme.js', tagPosition: 'head' }],
    },
  },
  router: { options: { scrollBehaviorType: 'auto' } },
  experimental: { appManifest: false, payloadExtraction: false },
  // Errors carry their own translations of paths; source maps would double the size of what is embedded.
  sourcemap: false,
  vite: {
    build: { target: 'es2022', assetsInlineLimit: 0 },
    // Every component here is written with the composition API.
    vue: { features: { optionsAPI: false } },
  },
  nitro: { prerender: { crawlLinks: false } },
  hooks: {
    // One shell serves every address; a copy of it for each page would only weigh.
    'prerender:routes': ({ routes }) => {
      for (const route of routes) {
        if (route !== '/' && !route.endsWith('.html')) routes.delete(route)
      }
    },
  },
})
