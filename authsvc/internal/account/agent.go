package account

import "strings"

// agentName is what people call the browser behind a User-Agent header, or the
// header itself. It is for the eye alone: anybody can send anything.
func agentName(agent string) string {
	browser := named(agent, [][2]string{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"},
	})
	system := named(agent, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	})
	if browser == "" || system == "" {
		return agent
	}
	return browser + ", " + system
}

// named returns the name of the first mark that stands in the text. The order
// counts: a browser also names those that it wants to be taken for.
func named(text string, marks [][2]string) string {
	for _, m := range marks {
		if strings.Contains(text, m[0]) {
			return m[1]
		}
	}
	return ""
}
