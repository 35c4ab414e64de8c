/** Compares JSON with an example of it: the same fields of the same types, and the same value where the value is the contract. */

/** Fields whose values are the same in every answer to the same request. */
const CONSTANT = new Set(['code', 'message', 'retryable', 'field', 'reason', 'kind', 'finishReason', 'recovered', 'ok', 'ready', 'status', 'bus', 'method', 'path', 'command', 'streamId', 'family', 'quantization']);
/** Constant only in errors; elsewhere it is a sentence about this machine. */
const FREE_OUTSIDE_ERRORS = new Set(['reason', 'status', 'message']);
/** Objects that may hold more or less from one machine, or one moment, to the next. */
const OPTIONAL = new Set(['contextLength', 'capabilities', 'lastLogLines', 'etaSeconds', 'error', ...'wsl container limitCores socket rootless cgroupDriver cdi features fix recommended env DeviceRequests Devices GroupAdd'.split(' ')]);

/**
 * @param filled the example with its placeholders filled
 * @returns what differs, as `path: how`; empty when nothing does
 */
export function differences(filled: unknown, actual: unknown, path = '', inError = false): string[] {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (kindOf(filled) !== kindOf(actual)) return [`${path}: ${kindOf(filled)} in the example, ${kindOf(actual)} in the answer (${JSON.stringify(actual)})`];
  if (Array.isArray(filled) && Array.isArray(actual)) return arrays(filled, actual, path, inError);
  if (isRecord(filled) && isRecord(actual)) return records(filled, actual, path, inError);
  const isConstant = CONSTANT.has(name) && (inError || !FREE_OUTSIDE_ERRORS.has(name));
  return isConstant && filled !== actual ? [`${path}: ${JSON.stringify(filled)} in the example, ${JSON.stringify(actual)} in the answer`] : [];
}

/** Elements are like the example's of the same place, or its first; an example without elements says nothing about them. */
function arrays(filled: readonly unknown[], actual: readonly unknown[], path: string, inError: boolean): string[] {
  if (filled.length === 0) return [];
  if (actual.length === 0) return filled.some(isRecord) ? [`${path}: empty in the answer`] : [];
  return actual.flatMap((element, index) => differences(filled[index] ?? filled[0], element, `${path}.${index}`, inError));
}

function records(filled: Record<string, unknown>, actual: Record<string, unknown>, path: string, inError: boolean): string[] {
  return [...new Set([...Object.keys(filled), ...Object.keys(actual)])].flatMap((key) => {
    const place = path === '' ? key : `${path}.${key}`;
    if (!(key in actual)) return OPTIONAL.has(key) ? [] : [`${place}: in the example only`];
    if (!(key in filled)) return OPTIONAL.has(key) ? [] : [`${place}: in the answer only`];
    return differences(filled[key], actual[key], place, inError || key === 'error');
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
