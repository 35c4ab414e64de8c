/** Jest runs the TypeScript sources as native ESM; the `ollamesh-source` condition points the package's own imports at them. */
export default {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['ollamesh-source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': ['@swc/jest', {
      jsc: {
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        target: 'es2023',
      },
      module: { type: 'es6' },
    }],
  },
  testMatch: ['<rootDir>/{apps,libs,test}/**/*.spec.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.test'],
  testTimeout: 30_000,
  maxWorkers: 2,
};
