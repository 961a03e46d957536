# Completion of sumbi for fish: sumbi completion fish > ~/.config/fish/completions/sumbi.fish
function __sumbi_complete
	set -l words (commandline -opc)
	set -l last (commandline -ct)
	set -l found (command $words[1] complete -- $words[2..-1] "$last" 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path "$last"
	end
end
complete -c sumbi -f -a '(__sumbi_complete)'
