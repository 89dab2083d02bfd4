package child

// GuardianCommand is the argument by which the program becomes the guardian.
const GuardianCommand = "guardian"
