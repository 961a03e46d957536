#compdef sumbi
# Completion of sumbi for zsh. In ~/.zshrc, behind compinit: source <(sumbi completion zsh)
_sumbi() {
	local line
	local -a found
	while IFS= read -r line; do
		found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done < <("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
	if ((${#found})); then
		_describe sumbi found
	else
		_files
	fi
}
compdef _sumbi sumbi
