ardour {
  ["type"] = "EditorAction",
  name = "stemfix: Enhance selected region with preset...",
  license = "GPL",
  author = "stemfix",
  description = [[As 'Enhance selected region', with a preset of your choice.]],
}

function factory () return function ()
  local ok, why = pcall (function ()
    assert (loadfile (ARDOUR.user_config_directory (-1) .. "/scripts/stemfix_lib.lua")) ().run ("enhance_with_preset")
  end)
  if not ok then
    LuaDialog.Message ("stemfix", "stemfix can't be loaded: " .. tostring (why) .. ". Run: stemfix daw install ardour",
      LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run ()
  end
end end
