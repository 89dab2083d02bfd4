
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.firstChild.data = at.toLocaleString(document.documentElement.lang, {dateStyle: "medium", timeStyle: "short"});
}
for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.firstChild; // what follows it is for those who hear the page
  const said = label.data;
  button.hidden = false;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).then(() => {
      label.data = button.dataset.done;
      setTimeout(() => { label.data = said; }, 2000);
    });
  });
}
