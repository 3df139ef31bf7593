import { onMounted, watch, type Ref } from 'vue'

/** Keeps what was typed until it is sent: a reload or a new login in between loses nothing. */
export function useDraft<T extends object>(key: string | null, values: Ref<T>) {
  const full = key && `streamify.draft.${key}`

  onMounted(() => {
    if (!full) return
    try {
      const kept = JSON.parse(sessionStorage.getItem(full) ?? 'null') as Partial<T> | null
      if (kept) values.value = { ...values.value, ...kept }
    }
    catch {
      sessionStorage.removeItem(full)
    }
  })

  const stop = watch(values, (changed) => {
    if (full) sessionStorage.setItem(full, JSON.stringify(changed))
  }, { deep: true })

  return {
    discard: () => {
      stop()
      if (full) sessionStorage.removeItem(full)
    },
  }
}
