import accessibility from 'eslint-plugin-vuejs-accessibility'
import withNuxt from './.nuxt/eslint.config.mjs'

export default withNuxt(
  ...accessibility.configs['flat/recommended'],
  {
    rules: {
      // A label beside its control, tied by id, is as good as one around it.
      'vuejs-accessibility/label-has-for': ['error', { required: { some: ['nesting', 'id'] } }],
      'vue/multi-word-component-names': 'off',
      // TypeScript already says what an absent property is.
      'vue/require-default-prop': 'off',
      'no-console': 'error',
    },
  },
  {
    // Its label is tied to whichever control it has, by an id that this rule can't see.
    files: ['app/components/FormField.vue'],
    rules: { 'vuejs-accessibility/form-control-has-label': 'off' },
  },
  {
    files: ['scripts/**'],
    rules: { 'no-console': 'off' },
  },
  { ignores: ['app/types/api.d.ts', 'dist/**'] },
)
