/** Completion scripts for shells, made from the commands as they are, so that none is forgotten. Pure. */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow a command, or an option with a closed list of values. */
interface Place {
  /** The words before it, such as `keys create`; empty for the program itself. */
  readonly path: string;
  /** Of these options the values. */
  readonly after?: readonly string[];
  readonly words: readonly Word[];
}

interface Word {
  readonly text: string;
  readonly says: string;
}

/** @param program the whole command line */
export function completionScript(shell: Shell, program: Command): string {
  const places = placesOf(program, '');
  return { bash, zsh, fish }[shell](program.name(), places);
}

function placesOf(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((below) => below.name() !== 'help');
  const options = help.visibleOptions(command);
  const words = [...commands.map((below) => ({ text: below.name(), says: below.description() })), ...options.flatMap((option) => flagsOf(option).map((text) => ({ text, says: option.description })))];
  const values = options.flatMap((option) => (option.argChoices ? [{ path, after: flagsOf(option), words: option.argChoices.map((text) => ({ text, says: '' })) }] : []));
  const argument = command.registeredArguments[0]?.argChoices?.map((text) => ({ text, says: '' })) ?? [];
  return [{ path, words: [...words, ...argument] }, ...values, ...commands.flatMap((below) => placesOf(below, `${path} ${below.name()}`.trim()))];
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag): flag is string => flag !== undefined);
}

const paths = (places: readonly Place[]) => places.filter(({ path, after }) => path !== '' && !after).map(({ path }) => path);
const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
/** One line, as menus show it. */
const short = (text: string) => text.replaceAll(/\s+/g, ' ');

function bash(name: string, places: readonly Place[]): string {
  const cases = places.map(({ path, after, words }) => {
    const list = quoted(words.map(({ text }) => text).join(' '));
    return after ? after.map((flag) => `    ${quoted(`${path}|${flag}`)}) words=${list} ;;`).join('\n') : `    ${quoted(`${path}|`)}*) words=${list} ;;`;
  });
  // What an option may be followed by comes before what its command may.
  const ordered = [...cases.filter((_, index) => places[index]?.after), ...cases.filter((_, index) => !places[index]?.after)];
  return `# ${name} completion for bash: source <(${name} completion bash)
_${name}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' i next
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ "\${COMP_WORDS[i]}" == -- ]]; then COMPREPLY=(); return; fi
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in ${paths(places).map(quoted).join('|')}) path="$next" ;; esac
  done
  case "$path|$before" in
${ordered.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _${name} ${name}
`;
}

function zsh(name: string, places: readonly Place[]): string {
  const list = (words: readonly Word[]) => words.map(({ text, says }) => quoted(`${text.replaceAll(':', String.raw`\:`)}${says === '' ? '' : `:${short(says)}`}`)).join(' ');
  const cases = [...places.filter(({ after }) => after), ...places.filter(({ after }) => !after)].map(
    ({ path, after, words }) => `    ${after ? after.map((flag) => quoted(`${path}|${flag}`)).join('|') : `${quoted(`${path}|`)}*`}) choices=(${list(words)}) ;;`,
  );
  return `#compdef ${name}
# ${name} completion for zsh: source <(${name} completion zsh)
_${name}() {
  local path_='' next i
  local -a choices
  for ((i = 2; i < CURRENT; i++)); do
    if [[ "\${words[i]}" == -- ]]; then _files; return; fi
    next="\${path_:+$path_ }\${words[i]}"
    case "$next" in ${paths(places).map(quoted).join('|')}) path_="$next" ;; esac
  done
  case "$path_|\${words[CURRENT-1]}" in
${cases.join('\n')}
  esac
  _describe ${name} choices || _files
}
compdef _${name} ${name}
`;
}

function fish(name: string, places: readonly Place[]): string {
  const lines = places.flatMap(({ path, after, words }) =>
    words.map(({ text, says }) => `complete -c ${name} -n ${quoted(`__${name}_at ${quoted(path)} ${(after ?? []).join(' ')}`.trim())} -a ${quoted(text)}${says === '' ? '' : ` -d ${quoted(short(says))}`}`),
  );
  return `# ${name} completion for fish: ${name} completion fish | source
function __${name}_at
  set -l path ''
  set -l words (commandline -opc)
  for word in $words[2..-1]
    test "$word" = --; and return 1
    set -l next (string trim -- "$path $word")
    contains -- "$next" ${paths(places).map(quoted).join(' ')}; and set path $next
  end
  test "$path" = "$argv[1]"; or return 1
  test (count $argv) -eq 1; or contains -- $words[-1] $argv[2..-1]
end
${lines.join('\n')}
`;
}
