import { ref, watch } from 'vue'

export type Theme = 'system' | 'light' | 'dark'

const key = 'streamify.theme'

function read(): Theme {
  try {
    const kept = localStorage.getItem(key)
    return kept === 'light' || kept === 'dark' ? kept : 'system'
  }
  catch {
    return 'system'
  }
}

const theme = ref<Theme>(read())

function paint(wanted: Theme): void {
  if (wanted === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = wanted
}

watch(theme, (wanted) => {
  paint(wanted)
  try {
    localStorage.setItem(key, wanted)
  }
  catch {
    // Without storage the choice holds until the page is closed.
  }
})

window.addEventListener('storage', (event) => {
  if (event.key === key) theme.value = read()
})

/** The chosen theme; `public/theme.js` paints it before the first paint, this paints its changes. */
export function useTheme() {
  return theme
}
