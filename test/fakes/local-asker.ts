/** This machine's own user, as the guard makes out whoever asks from loopback where no keys are. */
import { KeyScope } from '#contracts';
import type { Asker } from '../../apps/gateway/intake.js';

export const LOCAL: Asker = { caller: { id: 'local', address: '127.0.0.1', scopes: new Set(KeyScope.options), isLimited: false } };
