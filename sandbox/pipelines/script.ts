/**
 * The shell script of a step's commands, which prints each command before it runs
 * (pipeline/backend/common/script_posix.go).
 */
export function scriptOf(commands: readonly string[], folder: string): string {
  const traced = commands.map((command) => `\necho + ${quoted(command)}\n${command}\n`);
  return `
if [ -n "$CI_NETRC_MACHINE" ]; then
cat <<EOF > $HOME/.netrc
machine $CI_NETRC_MACHINE
login $CI_NETRC_USERNAME
password $CI_NETRC_PASSWORD
EOF
chmod 0600 $HOME/.netrc
fi
unset CI_NETRC_USERNAME
unset CI_NETRC_PASSWORD
unset CI_SCRIPT
mkdir -p "${folder}"
cd "${folder}"
${traced.join("")}`;
}

/** Like the Go library `shellescape`, quotes only what needs it. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** What the plugin woodpeckerci/plugin-git does by default: it fetches the history of one commit. */
export const CLONE_COMMANDS: readonly string[] = [
  "git init --quiet --initial-branch ci",
  'git remote add origin "$CI_REPO_CLONE_URL"',
  'git fetch --quiet --no-tags origin "+$CI_COMMIT_SHA:"',
  'git reset --hard --quiet "$CI_COMMIT_SHA"',
  "git log --no-decorate --oneline -1",
];
