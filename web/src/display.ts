// The panel in which readers say how they want to read.

import { $ } from "./dom";
import { change, onSettings, type Settings, USUAL } from "./settings";

export function display(): void {
  const form = $<HTMLFormElement>("display-form");
  const fields = [...form.elements].filter((field): field is HTMLInputElement => field instanceof HTMLInputElement);
  form.oninput = (event) => {
    const field = event.target as HTMLInputElement;
    const value = field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value;
    change({ [field.name]: value } as Partial<Settings>);
  };
  form.onsubmit = (event) => event.preventDefault();
  $("display-usual").onclick = () => change(USUAL);
  onSettings((settings) => {
    for (const field of fields) {
      const value = settings[field.name as keyof Settings];
      if (field.type === "checkbox") field.checked = value as boolean;
      else if (field.type === "radio") field.checked = field.value === value;
      else {
        field.value = String(value);
        field.setAttribute("aria-valuetext", `${value} %`);
      }
    }
    $("size-now").textContent = `${settings.size} %`;
    $("leading-now").textContent = (settings.leading / 100).toFixed(1);
  });
}

/** Larger or smaller by a step, from the keyboard. */
export function resize(settings: Settings, by: number): void {
  change({ size: settings.size + by });
}
