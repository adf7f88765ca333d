"""What a person does at the console, in the words of the tests."""

import base64

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

WIDE, PHONE, NARROWEST = (1280, 1000), (390, 844), (360, 740)
# Each is one call of the browser, which takes a fiftieth of a second of processor; to type a word takes a tenth.
KIND = "const e = document.querySelector(arguments[0]); return [e, e.type];"
PASTE = "const e = arguments[0]; e.focus(); e.select(); document.execCommand('insertText', false, arguments[1]);"
IN_SIGHT = (
    "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'}); window.left = true; return e;"
)
ARRIVED = "return !window.left && document.readyState === 'complete'"


class Person:
    def __init__(self, browser, url):
        self.browser, self.url = browser, url

    def start_over(self):
        self.browser.delete_all_cookies()
        self.size(WIDE)
        self.open("/sign-in")
        self.browser.delete_all_cookies()
        self.browser.get_log("browser")

    def size(self, size):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return self

    def open(self, path):
        self.browser.get(self.url + path)
        return self

    @property
    def path(self):
        return self.browser.current_url.removeprefix(self.url)

    def one(self, css):
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def text(self, css="main"):
        return self.one(css).text

    def act_as(self, organisation_id, *, second=False):
        """Through the first page's buttons, or the header's switch once signed in; as the second officer at sign-in."""
        if second:
            self.open("/sign-in").click(f"main button[name='second'][value='{organisation_id}']")
        elif self.all("details.menu"):
            self.one("details.menu summary").click()
            self.click(f"details.menu button[value='{organisation_id}']")
        else:
            self.open("/")
            self.click(f"#begin button[value='{organisation_id}']")
        return self

    def fill(self, form, **values):
        for name, value in values.items():
            element, kind = self.browser.execute_script(KIND, f"#form-{form} [name='{name}']")
            if kind.startswith("select"):
                Select(element).select_by_value(value)
            elif kind == "checkbox":
                if element.is_selected() is not value:
                    element.click()
            elif kind == "date":
                self.browser.execute_script("arguments[0].value = arguments[1]", element, value)
            else:
                self.browser.execute_script(PASTE, element, value)
        return self

    def send(self, form, *, confirm=False):
        self.click(f"#form-{form} .actions button", confirm=confirm)
        return self

    def click(self, css, *, confirm=False):
        """Click, answer a question if one is expected, and wait until another page is there."""
        self.browser.execute_script(IN_SIGHT, css).click()
        if confirm:
            WebDriverWait(self.browser, 10).until(lambda browser: browser.switch_to.alert).accept()
        WebDriverWait(self.browser, 20).until(lambda browser: browser.execute_script(ARRIVED))
        return self

    def link(self, words):
        return next(each for each in self.all("main a") if words in each.text)

    def follow(self, words):
        self.browser.get(self.link(words).get_attribute("href"))
        return self

    def require_quiet(self):
        """No script error, no refused resource, no violation of the content security policy."""
        noise = [line["message"] for line in self.browser.get_log("browser") if not _expected(line["message"])]
        assert noise == []

    def picture(self, path, width=None, height=None):
        """The whole page, or its upper part, as a PNG file."""
        size = self.browser.execute_script(
            "const e = document.documentElement;"
            "return [e.clientWidth, Math.max(e.scrollHeight, document.body.scrollHeight)]"
        )
        clip = {"x": 0, "y": 0, "width": width or size[0], "height": min(height or size[1], size[1]), "scale": 1}
        command = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        answer = self.browser.execute_cdp_cmd("Page.captureScreenshot", command)
        path.write_bytes(base64.b64decode(answer["data"]))


def _expected(message):
    # The browser itself notes a page that was answered with an error status; tests check those pages on their own.
    return "the server responded with a status of 4" in message
