import { markRaw } from 'vue'
import { toast } from 'vue-sonner'
import NewVideoToast from '~/components/NewVideoToast.vue'
import type { Video } from '~/types/contract'
import { Announcements } from '~/utils/announcements'

const manyId = 'many-new-videos'
const milliseconds = 8_000
/** Events of a burst come within a few milliseconds: what comes in this time is told together. */
const gatherMilliseconds = 250

const announcements = new Announcements()
const told = new Set<string>()
let queue: Video[] = []
let gathering: ReturnType<typeof setTimeout> | undefined

function show(): void {
  const plan = announcements.plan(queue, performance.now())
  queue = []
  if (!plan) return
  if (plan.kind === 'many') {
    toast.custom(markRaw(NewVideoToast), {
      id: manyId,
      duration: milliseconds,
      componentProps: { video: plan.newest, count: plan.count, toastId: manyId },
      onDismiss: () => announcements.mergedClosed(),
      onAutoClose: () => announcements.mergedClosed(),
    })
    return
  }
  for (const video of plan.videos) {
    toast.custom(markRaw(NewVideoToast), {
      id: video.id,
      duration: milliseconds,
      componentProps: { video, count: 1, toastId: video.id },
    })
  }
}

/** Tells whoever looks at the page of new videos, each one once, and a burst of them in one breath. */
export function useNewVideoToasts() {
  return {
    tell(videos: Video[]): void {
      for (const video of videos) {
        if (told.has(video.id)) continue
        told.add(video.id)
        queue.push(video)
      }
      if (!queue.length || gathering) return
      show()
      gathering = setTimeout(() => {
        gathering = undefined
        show()
      }, gatherMilliseconds)
    },
    /** Takes all of them away, as when another person logs in. */
    clear(): void {
      queue = []
      told.clear()
      toast.dismiss()
    },
  }
}
