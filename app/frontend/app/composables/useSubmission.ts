import { computed, nextTick, reactive, ref } from 'vue'
import type { FieldError } from '~/types/contract'
import { ApiProblem, explain, fieldSentence, SessionEnded } from '~/utils/failures'

export interface ErrorEntry {
  /** The field that it is about; null where the form has no such field. */
  field: string | null
  text: string
}

/**
 * One form's way to the server: what is wrong with which field, what is wrong as a whole, and never a second request
 * while one is on its way.
 *
 * @param labels what each field is called, by its name in the request
 */
export function useSubmission(labels: Record<string, string>) {
  const pending = ref(false)
  const state = reactive({ title: '', advice: '', entries: [] as ErrorEntry[] })
  const summary = ref<{ focus: () => void } | null>(null)

  const fieldErrors = computed(() => {
    const byField: Record<string, string> = {}
    for (const { field, text } of state.entries) {
      if (field && !byField[field]) byField[field] = text
    }
    return byField
  })

  function show(title: string, advice: string, errors: readonly FieldError[]): void {
    state.title = title
    state.advice = advice
    state.entries = errors.map((error) => {
      const label = labels[error.field]
      return { field: label ? error.field : null, text: fieldSentence(label ?? error.field, error) }
    })
    void nextTick(() => summary.value?.focus())
  }

  /** Runs `work` if `check` finds nothing; tells whether it was done. */
  async function submit(check: () => FieldError[], work: () => Promise<void>): Promise<boolean> {
    if (pending.value) return false
    const slips = check()
    if (slips.length) {
      show('Something is missing or not right', '', slips)
      return false
    }
    pending.value = true
    state.title = ''
    state.entries = []
    try {
      await work()
      return true
    }
    catch (failure) {
      // The page is on its way to the login, and the draft waits.
      if (failure instanceof SessionEnded) return false
      if (failure instanceof ApiProblem && failure.errors.length) {
        show('Something is missing or not right', '', failure.errors)
      }
      else {
        const { title, advice } = explain(failure)
        show(title, advice, [])
      }
      return false
    }
    finally {
      pending.value = false
    }
  }

  return { pending, state, summary, fieldErrors, submit }
}

/** The slip that every form looks for before it asks the server. */
export function missing(values: Record<string, string>, required: string[]): FieldError[] {
  return required
    .filter(field => !values[field]?.trim())
    .map(field => ({ field, code: 'required', message: 'is empty' }))
}
