/** How a newcomer learns what is there: it calls the roll, and every app that publishes a state publishes it again. */
import { z } from 'zod';
import { event } from './define.js';

export const RollCall = event('roll-call', z.object({ by: z.string() }), { scope: 'mesh' });
