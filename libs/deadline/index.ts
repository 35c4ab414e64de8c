/** A limit in time that also holds while memory is collected. */
export { withDeadline } from './with-deadline.js';
