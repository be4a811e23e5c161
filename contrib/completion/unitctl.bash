# Completion for unitctl, always that of the installed version; for /usr/share/bash-completion/completions/unitctl, or to be sourced.
source <(unitctl completion bash)
