/** `ollamesh completion`: a script that makes a shell complete this command. */
import { Argument, Command } from 'commander';
import { SHELLS, type Shell, completionScript } from '../completion-script.js';

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that completes this command: source <(ollamesh completion bash)')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .action((shell: Shell, _options: object, command: Command) => {
      process.stdout.write(completionScript(shell, command.parent ?? command));
    });
}
